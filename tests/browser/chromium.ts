/** Debian's Chromium, headless, for the suites that need a browser. */
import { type Browser, chromium, type Page } from "npm:playwright-core@1.65.1";
import { requires } from "../helpers/requires.ts";

/** `ignore` for `Deno.test`, and the program. */
export const browser: { path: string; ignore: boolean } = requires("chromium");

/** WebGPU without a GPU: Dawn and the Tint compiler on the SwiftShader driver that Chromium brings. */
const FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** Starts a browser; dispose it with `await using`. */
export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: browser.path, headless: true, args: FLAGS });
}

/**
 * Serves `routes` (path to body and type) on the loopback address, which counts as a secure context as WebGPU
 * demands, and opens `/` in a new page. Errors of the page and of its console collect in `errors`.
 */
export async function openPage(
  chrome: Pick<Browser, "newPage">,
  routes: Record<string, { body: string; type: string }>,
): Promise<{ page: Page; errors: string[] } & AsyncDisposable> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const route = routes[new URL(request.url).pathname];
    if (route === undefined) return new Response(null, { status: 404 });
    return new Response(route.body, { headers: { "content-type": route.type } });
  });
  const page = await chrome.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.location().url.endsWith("/favicon.ico")) {
      errors.push(message.text());
    }
  });
  await page.goto(`http://127.0.0.1:${server.addr.port}/`);
  return {
    page,
    errors,
    async [Symbol.asyncDispose]() {
      await page.close();
      await server.shutdown();
    },
  };
}

/** Bundles a module for the browser. */
export async function bundle(entry: URL): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", entry.href],
    cwd: new URL("../../", import.meta.url),
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot bundle ${entry}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
