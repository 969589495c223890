/**
 * `deno task bench [--autotune] [--no-peers] [kernel …]`: times every kernel's bench (`<kernel>_bench.ts` beside this
 * file), then this kit beside other JavaScript libraries, all in one process and in turns, and prints medians and
 * ratios. The variants are the adapter's defaults, or with `--autotune` the fastest here.
 */
import { autotune } from "../../lib/gpu/autotune.ts";
import { openDevice } from "../../lib/gpu/device.ts";
import type { Gpu } from "../../lib/gpu/gpu.ts";
import { matmulContests } from "../../lib/kernels/matmul_variants.ts";
import { settleVariants } from "../../lib/ops/variants.ts";
import { compareFlora } from "./flora.ts";
import { openKit } from "./kit.ts";
import { compareLapack } from "./lapack.ts";
import { compareLoad } from "./load.ts";
import { type BenchRow, median } from "./measure.ts";
import { compareSmolLm2 } from "./smollm2.ts";
import { compareStep } from "./step.ts";
import { type Job, openPeers } from "./peers/peer.ts";

const wanted = Deno.args.filter((word) => !word.startsWith("--"));
using gpu = await openDevice();
console.log(`adapter: ${gpu.info.name}${gpu.info.isSoftware ? " (computes on the CPU)" : ""}`);
if (Deno.args.includes("--autotune")) await autotune(gpu, matmulContests(gpu));
console.log(`variants: ${JSON.stringify(settleVariants(gpu))}\n`);
printRows(await runBenches(gpu, wanted));
if (!Deno.args.includes("--no-peers")) {
  await compareLapack(gpu);
  await compareStep(gpu);
  await compareFlora(gpu);
  await compareLoad(gpu);
  await compareSmolLm2(gpu);
  await comparePeers(gpu);
}
// Libraries keep handles open; everything that is owned here is freed with the process.
Deno.exit(0);

/** Rows of all benches, or of copy, matmul (which the shares refer to) and the named ones. */
async function runBenches(gpu: Gpu, wanted: string[]): Promise<BenchRow[]> {
  const names = [...Deno.readDirSync(import.meta.dirname!)].map(({ name }) => name)
    .filter((name) => name.endsWith("_bench.ts")).map((name) => name.slice(0, -"_bench.ts".length)).sort();
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown) throw new RangeError(`Cannot bench ${unknown}: expected some of ${names.join(", ")}`);
  const rows: BenchRow[] = [];
  for (const name of names) {
    if (wanted.length && !["copy", "matmul", ...wanted].includes(name)) continue;
    const { bench } = await import(new URL(`${name}_bench.ts`, import.meta.url).href);
    rows.push(...await bench(gpu) as BenchRow[]);
  }
  return rows;
}

function printRows(rows: readonly BenchRow[]): void {
  const flops = (row: BenchRow) => (row.flops ?? 0) / row.ms / 1e6;
  const bytes = (row: BenchRow) => (row.bytes ?? 0) / row.ms / 1e6;
  const product = Math.max(...rows.filter(({ kernel }) => kernel === "matmul").map(flops));
  const copy = Math.max(...rows.filter(({ kernel }) => kernel === "copy").map(bytes));
  const cell = (rate: number, best: number) =>
    rate
      ? `${rate.toFixed(1).padStart(7)} ${`(${(100 * rate / best).toFixed(0)} %)`.padStart(7)}`
      : " ".repeat(15);
  console.log(
    `${"kernel".padEnd(20)} ${"shape".padEnd(42)} ${"ms".padStart(8)}   GFLOP/s (share)   GB/s (share)`,
  );
  for (const row of rows) {
    const name = `${row.kernel.padEnd(20)} ${row.shape.padEnd(42)} ${row.ms.toFixed(3).padStart(8)}`;
    console.log(`${name}   ${cell(flops(row), product)}  ${cell(bytes(row), copy)}`.trimEnd());
  }
  console.log(
    "shares: of the best matmul above, and of the copy (bytes read and written, the least there can be)",
  );
}

/** The same two jobs by every library in turns; a peer that cannot be opened is named, not dropped. */
async function comparePeers(gpu: Gpu): Promise<void> {
  const kit = openKit(gpu);
  const peers = await openPeers();
  console.log("\nf32 matmul 1024 × 1024 × 1024");
  await race(
    [
      ...(["nn", "nt", "tn"] as const).map((form) => ({
        name: `${kit.name}, ${form}`,
        job: kit.matmul(1024, form),
      })),
      ...peers.map((peer) => ({ name: peer.name, job: peer.matmul(1024) })),
    ],
    { times: 3, what: "largest error", rate: (s) => `${(2 * 1024 ** 3 / s / 1e9).toFixed(1)} GFLOP/s` },
  );
  console.log("\nMLP 512-512-512, batch 256: forward, backward, AdamW");
  await race(
    [kit, ...peers].map((peer) => ({ name: peer.name, job: peer.mlp(512, 256) })),
    { times: 4, what: "loss", rate: (s) => `${(1 / s).toFixed(1)} steps/s` },
  );
  await wasm();
}

async function race(
  sides: { name: string; job: Job }[],
  { times, what, rate }: { times: number; what: string; rate: (seconds: number) => string },
): Promise<void> {
  const lists = sides.map(() => [] as number[]);
  for (const { job } of sides) await job.run(2);
  for (let round = 0; round < 5; round++) {
    for (const [i, { job }] of sides.entries()) lists[i].push(await job.run(times));
  }
  const medians = lists.map(median);
  const slowest = Math.max(...medians.filter((_, i) => sides[i].name.startsWith("this kit")));
  for (const [i, { name, job }] of sides.entries()) {
    const ratio = name.startsWith("this kit") ? "" : `  this kit ${(medians[i] / slowest).toFixed(1)} ×`;
    console.log(
      `  ${name.padEnd(34)} ${rate(medians[i]).padStart(16)}  ${what} ${
        (await job.check()).toPrecision(3)
      }${ratio}`,
    );
    job[Symbol.dispose]();
  }
}

/** jax-js on WebAssembly, which uses the CPU's threads directly, in a process of its own: its device is global. */
async function wasm(): Promise<void> {
  const file = new URL("peers/jax_js.ts", import.meta.url);
  const args = [
    "run",
    "-A",
    "--config",
    new URL("peers/deno.json", import.meta.url).pathname,
    file.pathname,
    "wasm",
  ];
  // Its threads have been seen to wait for each other for ever.
  const signal = AbortSignal.timeout(120_000);
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit", signal })
    .output();
  if (!success) {
    return console.log("\nbeside them, jax-js on WebAssembly: left out, it gave no answer in two minutes");
  }
  const { peer, matmul1024, mlp512 } = JSON.parse(
    new TextDecoder().decode(stdout).trim().split("\n").at(-1)!,
  );
  console.log(
    `\nbeside them, on the CPU without WebGPU: ${peer}: matmul ${
      (2 * 1024 ** 3 / matmul1024.seconds / 1e9).toFixed(1)
    } GFLOP/s, MLP ${(1 / mlp512.seconds).toFixed(1)} steps/s`,
  );
}
