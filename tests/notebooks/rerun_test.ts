import { assert, assertEquals } from "@std/assert";
import { executeNotebook } from "../../lib/cli/notebooks.ts";
import { jupyter, makeFolder, notebookOf } from "./lab.ts";
import { codeCells, printed } from "./source.ts";

const RERUNS = 20;
const model = decodeURIComponent(new URL("../parity/fixtures/llama_tied", import.meta.url).pathname);
const data = `${model}/batches.json`;

const first = `import { attach, loadModel, openDevice, replace, show, start } from "@olora/kit";
const gpu = await replace("gpu", openDevice);`;
const again = [
  `const model = await replace("model", () => loadModel(${JSON.stringify(model)}, { gpu }));`,
  `const adapter = await replace("adapter", () => attach(model, { method: "olora", rank: 4 }));`,
  `const run = start(${JSON.stringify({ model, data, steps: 2, rank: 4 })});`,
  `run.wait();`,
  "show(`${run.state} ${gpu.liveBytes}`);",
];

Deno.test({
  name:
    `cells that load, attach and train leave the same live device bytes after ${RERUNS} reruns as after one`,
  ignore: jupyter.ignore,
  async fn() {
    await using folder = await makeFolder();
    const path = `${folder.path}/a.ipynb`;
    await Deno.writeTextFile(path, notebookOf([first, ...Array(RERUNS + 1).fill(again).flat()]));
    const cells = codeCells(await executeNotebook(path, jupyter.path, `${folder.path}/share`));
    const lines = cells.map(printed).filter((text) => /^\w+ \d+$/.test(text)).map((text) => text.split(" "));
    assertEquals(lines.length, RERUNS + 1);
    const [state, bytes] = lines[0];
    assertEquals(state, "finished");
    assert(Number(bytes) > 0);
    assertEquals(lines.map(([, bytes]) => bytes), lines.map(() => bytes));
  },
});
