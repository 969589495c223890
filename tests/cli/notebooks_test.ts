import { assert, assertEquals, assertRejects } from "@std/assert";
import { executeNotebook, notebooksIn } from "../../lib/cli/notebooks.ts";
import { jupyter, makeFolder, notebookOf } from "../notebooks/lab.ts";

const { ignore, path: program } = jupyter;

const figure = {
  title: "A line",
  caption: "Made up.",
  panels: [{ xLabel: "step", yLabel: "loss", series: [{ name: "a", role: "lora", x: [1, 2], y: [2, 1] }] }],
};

interface Cell {
  execution_count: number;
  outputs: { output_type: string; data?: Record<string, unknown>; text?: string | string[] }[];
}

async function execute(sources: string[]): Promise<Cell[]> {
  await using folder = await makeFolder();
  const path = `${folder.path}/a.ipynb`;
  await Deno.writeTextFile(path, notebookOf(sources));
  return JSON.parse(await executeNotebook(path, program, `${folder.path}/share`)).cells;
}

Deno.test({
  name: "executeNotebook() keeps every figure that a cell shows last",
  ignore,
  async fn() {
    const shows = Array.from({ length: 40 }, () => `show(${JSON.stringify(figure)});`);
    const cells = await execute([`import { show } from "@olora/kit";`, ...shows]);
    assertEquals(cells.map((cell) => cell.execution_count), cells.map((_, i) => i + 1));
    for (const { outputs } of cells.slice(1)) {
      assertEquals(outputs.length, 1);
      assertEquals(Object.keys(outputs[0].data!).sort(), [
        "application/vnd.plotly.v1+json",
        "image/svg+xml",
        "text/plain",
      ]);
    }
  },
});

Deno.test({
  name: "executeNotebook() keeps a run's last picture under the cell that started it",
  ignore,
  async fn() {
    const worker = new URL("../notebooks/busy_worker.ts", import.meta.url).href;
    const cells = await execute([
      `import { start } from "@olora/kit";`,
      `const run = start({ steps: 30, stepMs: 20 }, { worker: new URL("${worker}") });`,
      `run.wait();`,
    ]);
    const svg = [cells[1].outputs[0].data!["image/svg+xml"]].flat().join("");
    assert(svg.includes("run: finished") && svg.includes("Step 30 of 30"));
  },
});

Deno.test({
  name: "executeNotebook() rejects with the error of the cell that failed",
  ignore,
  async fn() {
    await assertRejects(
      () => execute([`const rank = 96;`, `throw new RangeError("Cannot attach adapter with rank " + rank);`]),
      Error,
      "Cannot attach adapter with rank 96",
    );
  },
});

Deno.test("notebooksIn() lists the notebooks in the order of their names", async () => {
  const folder = await Deno.makeTempDir();
  for (const name of ["02-b.ipynb", "01-a.ipynb", "note.md"]) {
    await Deno.writeTextFile(`${folder}/${name}`, "{}");
  }
  assertEquals(notebooksIn(folder), [`${folder}/01-a.ipynb`, `${folder}/02-b.ipynb`]);
  await Deno.remove(folder, { recursive: true });
});
