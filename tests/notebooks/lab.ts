/** JupyterLab with the kit's kernel, for tests that drive it in a browser. */
import type { Page } from "npm:playwright-core@1.65.1";
import { installKernel } from "../../lib/cli/jupyter.ts";
import { launch } from "../browser/chromium.ts";
import { requires } from "../helpers/requires.ts";

/** `ignore` for `Deno.test`, and the program. */
export const jupyter: { path: string; ignore: boolean } = requires("jupyter");

/** The kit, as a notebook anywhere imports it. */
export const MOD: string = new URL("../../mod.ts", import.meta.url).href;

/** A notebook's JSON from the sources of its code cells. */
export function notebookOf(sources: string[]): string {
  return JSON.stringify({
    cells: sources.map((source, i) => ({
      cell_type: "code",
      id: `cell-${i}`,
      execution_count: null,
      metadata: {},
      outputs: [],
      source,
    })),
    metadata: {
      kernelspec: { name: "deno", display_name: "Deno", language: "typescript" },
      language_info: { name: "typescript", file_extension: ".ts", mimetype: "text/x.typescript" },
    },
    nbformat: 4,
    nbformat_minor: 5,
  });
}

/** A temporary folder in which `@olora/kit` is this kit, with the kernelspec in `kernels/`. */
export async function makeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  await Deno.writeTextFile(`${path}/deno.json`, JSON.stringify({ imports: { "@olora/kit": MOD } }));
  await installKernel(`${path}/share`);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** JupyterLab and a headless browser, started once for several notebooks. */
export interface LabServer extends AsyncDisposable {
  /** Opens a notebook of these code cells and waits for its kernel. */
  open(sources: string[]): Promise<Lab>;
}

/** Starts JupyterLab in a temporary folder, and a browser. */
export async function startLab(): Promise<LabServer> {
  const folder = await makeFolder();
  const port = freePort();
  const args = ["lab", "--no-browser", "--allow-root", "--IdentityProvider.token="];
  args.push("--ServerApp.ip=127.0.0.1", `--ServerApp.port=${port}`, "--ServerApp.port_retries=0");
  const server = new Deno.Command(jupyter.path, {
    args: [...args, `--ServerApp.root_dir=${folder.path}`],
    cwd: folder.path,
    env: {
      JUPYTER_PATH: `${folder.path}/share`,
      JUPYTER_CONFIG_DIR: `${folder.path}/config`,
      JUPYTER_DATA_DIR: `${folder.path}/data`,
      JUPYTER_RUNTIME_DIR: `${folder.path}/runtime`,
    },
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  const [chrome] = await Promise.all([launch(), until(`${url}/api`, () => true)]);
  let count = 0;
  return {
    async open(sources) {
      const name = `notebook-${++count}.ipynb`;
      await Deno.writeTextFile(`${folder.path}/${name}`, notebookOf(sources));
      const page = await chrome.newPage({ viewport: { width: 1280, height: 1600 } });
      // A workspace of its own: the common one opens the notebooks of earlier pages again.
      await page.goto(`${url}/lab/workspaces/${count}/tree/${name}`);
      // A cell that is run before the kernel is there opens a dialog that asks for one.
      await until(`${url}/api/sessions`, (sessions) => isReady(sessions, name));
      await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
      return new Lab(page);
    },
    async [Symbol.asyncDispose]() {
      await chrome.close();
      server.kill("SIGTERM");
      await server.status;
      await folder[Symbol.asyncDispose]();
    },
  };
}

function isReady(sessions: { path: string; kernel: { execution_state: string } }[], path: string): boolean {
  return sessions.find((session) => session.path === path)?.kernel.execution_state === "idle";
}

/** What a person does in JupyterLab, by what a person sees. */
export class Lab implements AsyncDisposable {
  /** The browser's page. */
  readonly page: Page;

  /** @param page Shows the notebook. */
  constructor(page: Page) {
    this.page = page;
  }

  /** Runs cell `i` (from 0), as Shift+Enter in it does. */
  async run(i: number): Promise<void> {
    await this.#cell(i).locator(".jp-InputArea-editor").click();
    await this.page.keyboard.press("Shift+Enter");
  }

  /** Presses the Stop button. */
  async stop(): Promise<void> {
    await this.page.locator('jp-button[data-command="notebook:interrupt-kernel"]').click();
  }

  /** Whether cell `i` waits for its turn or runs. */
  async isBusy(i: number): Promise<boolean> {
    return (await this.#cell(i).locator(".jp-InputPrompt").innerText()).includes("*");
  }

  /** Waits until cell `i` has ended. */
  async ended(i: number): Promise<void> {
    await this.#cell(i).locator(".jp-InputPrompt", { hasText: /\[\d+\]/ }).waitFor({ timeout: 20_000 });
  }

  /** Waits for a static picture under cell `i` whose text matches, and gives its source. */
  async picture(i: number, text: RegExp): Promise<string> {
    const image = this.#cell(i).locator(".jp-RenderedSVG img");
    for (let tries = 0; tries < 150; tries++) {
      if (await image.count()) {
        const svg = decodeURIComponent((await image.first().getAttribute("src"))!);
        if (text.test(svg)) return svg;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error(`no picture with ${text} under cell ${i} within 30 s`);
  }

  /** Text of the outputs of cell `i`. */
  output(i: number): Promise<string> {
    return this.#cell(i).locator(".jp-OutputArea").innerText();
  }

  /** Closes the page; the kernel ends with JupyterLab. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close();
  }

  #cell(i: number) {
    return this.page.locator(".jp-Notebook .jp-CodeCell").nth(i);
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Asks every 200 ms, for a minute at most, until the answer is as expected. */
// deno-lint-ignore no-explicit-any
async function until(url: string, expected: (answer: any) => boolean): Promise<void> {
  for (let i = 0; i < 300; i++) {
    try {
      if (expected(await (await fetch(url)).json())) return;
    } catch {
      // Not yet listening.
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`no such answer from ${url} within 60 s`);
}
