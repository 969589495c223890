import { assertEquals } from "@std/assert";
import { title } from "../helpers/kernel_case.ts";
import { allCases } from "../kernels/all_cases.ts";
import { browser, bundle, launch, openPage } from "./chromium.ts";
import type { Suite } from "./kernels_page.ts";

declare const suite: Suite;

Deno.test({
  name: "the kernel suite passes in Chromium (Dawn, Tint, SwiftShader)",
  ignore: browser.ignore,
  async fn(t) {
    const script = await bundle(new URL("kernels_page.ts", import.meta.url));
    await using chrome = await launch();
    await using open = await openPage(chrome, {
      "/": { body: '<!doctype html><script type="module" src="/suite.js"></script>', type: "text/html" },
      "/suite.js": { body: script, type: "text/javascript" },
    });
    console.log(`adapter in Chromium: ${await open.page.evaluate(() => suite.open())}`);
    assertEquals(await open.page.evaluate(() => suite.titles), allCases.map(title));
    for (const [i, c] of allCases.entries()) {
      await t.step(title(c), async () => {
        const failure = await open.page.evaluate((i) => suite.run(i), i);
        if (failure !== null) throw new Error(failure);
      });
    }
    assertEquals(open.errors, []);
  },
});
