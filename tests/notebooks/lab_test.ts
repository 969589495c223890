import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { browser } from "../browser/chromium.ts";
import { jupyter, type Lab, type LabServer, startLab } from "./lab.ts";

const ignore = browser.ignore || jupyter.ignore;
const worker = new URL("./busy_worker.ts", import.meta.url).href;
const model = decodeURIComponent(new URL("../parity/fixtures/llama_tied", import.meta.url).pathname);
const STEPS = 4000;

const begin = [
  `import { show, start } from "@olora/kit";\nlet kept = 1;`,
  `const run = start({ steps: ${STEPS}, stepMs: 20 }, { worker: new URL("${worker}") });`,
];
const end = [
  `kept += 41; console.log("kept", kept, run.state, run.last.step < 4000);`,
  `run.stop(); console.log(run.state, run.last.step < 4000);`,
];

let server: Promise<LabServer> | undefined;
Deno.test.afterAll(async () => await (await server)?.[Symbol.asyncDispose]());

/** Opens a notebook of `cells` in JupyterLab, does `acts`, and leaves a picture of the page if they fail. */
async function withLab(cells: string[], acts: (lab: Lab) => Promise<void>): Promise<void> {
  await using lab = await (await (server ??= startLab())).open(cells);
  try {
    await acts(lab);
  } catch (error) {
    const path = await Deno.makeTempFile({ suffix: ".png" });
    await lab.page.screenshot({ path });
    throw new Error(`JupyterLab then looked like ${path}`, { cause: error });
  }
}

async function runAll(lab: Lab, cells: number[]): Promise<void> {
  for (const i of cells) {
    await lab.run(i);
    await lab.ended(i);
  }
}

const stepIn = (svg: string) => Number(svg.match(/Step (\d+) of 4000/)![1]);

Deno.test({
  name:
    "start() in JupyterLab: a Stop ends the cell that waits for a training; state stays, run.stop() ends it",
  ignore,
  async fn() {
    const data = await Deno.makeTempFile({ suffix: ".json" });
    const batches = Array.from({ length: STEPS }, (_, i) => [[1 + i % 7, 2, 3, 4 + i % 5, 5]]);
    await Deno.writeTextFile(data, JSON.stringify({ batches }));
    const config = JSON.stringify({ model, data, steps: STEPS, rank: 4, learningRate: 1e-4 });
    await withLab([begin[0], `const run = start(${config});`, `run.wait();`, ...end], async (lab) => {
      await runAll(lab, [0, 1]);
      const first = stepIn(await lab.picture(1, /Step \d+ of 4000/));
      await lab.run(2);
      // The picture is redrawn in place while the cell waits.
      await lab.picture(1, new RegExp(`Step (?!${first} )\\d+ of 4000`));
      assert(await lab.isBusy(2));
      await lab.stop();
      await lab.ended(2);
      await runAll(lab, [3, 4]);
      assertStringIncludes(await lab.output(3), "kept 42 running true");
      assertStringIncludes(await lab.output(4), "stopped true");
      await lab.picture(1, /run: stopped/);
    });
    await Deno.remove(data);
  },
});

Deno.test({
  name: "start() in JupyterLab: a Stop after the cell has returned leaves the training within reach",
  ignore,
  async fn() {
    await withLab([...begin, ...end], async (lab) => {
      await runAll(lab, [0, 1]);
      await lab.picture(1, /Step \d+ of 4000/);
      for (let presses = 0; presses < 5; presses++) {
        await lab.stop();
        await lab.page.waitForTimeout(300);
      }
      await runAll(lab, [2, 3]);
      assertStringIncludes(await lab.output(2), "kept 42 running true");
      assertStringIncludes(await lab.output(3), "stopped true");
      await lab.picture(1, /run: stopped/);
    });
  },
});

Deno.test({
  name: "start() in JupyterLab: a cell that is run again stops the run that it started",
  ignore,
  async fn() {
    const cells = [begin[0], `globalThis.earlier = globalThis.run;\n${begin[1]}\nglobalThis.run = run;`];
    await withLab([...cells, `console.log(earlier.state, run.state); run.stop();`], async (lab) => {
      await runAll(lab, [0, 1]);
      await lab.picture(1, /Step \d+ of 4000/);
      await runAll(lab, [1, 2]);
      assertStringIncludes(await lab.output(2), "stopped running");
    });
  },
});

Deno.test({
  name: "show() in JupyterLab draws an interactive figure",
  ignore,
  async fn() {
    const figure = {
      title: "A line",
      caption: "Made up.",
      panels: [{
        xLabel: "step",
        yLabel: "loss",
        series: [{ name: "olora", role: "olora", x: [1, 2, 3], y: [3, 2, 1] }],
      }],
    };
    await withLab([begin[0], `show(${JSON.stringify(figure)});`], async (lab) => {
      await runAll(lab, [0, 1]);
      const plot = lab.page.locator(".jp-OutputArea .js-plotly-plot");
      await plot.waitFor();
      assertMatch(await plot.innerText(), /A line/);
      assertEquals(await plot.locator(".scatterlayer .trace").count(), 1);
    });
  },
});
