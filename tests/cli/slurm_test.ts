import { fileURLToPath } from "node:url";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readRows } from "../../lib/experiments/parts.ts";
import { requires } from "../helpers/requires.ts";
import { SlurmCluster } from "../helpers/slurm.ts";
import { olora, oloraSlurm, outcome, run } from "./command_line.ts";

const FACTS = fileURLToPath(new URL("../../data/tiny/facts/", import.meta.url));

/** Files of a sweep of 12 short runs on data/tiny; the first two take long enough to be hit while they run. */
async function sweepFiles(folder: string, name: string) {
  const rows = (await Deno.readTextFile(`${FACTS}validation.jsonl`)).split("\n", 8).join("\n");
  await Deno.writeTextFile(`${folder}/held_out.jsonl`, rows);
  const evaluation = { data: "held_out.jsonl", every: 50, rows: 4 };
  const base = { model: "tiny", data: `${FACTS}train.jsonl`, batchSize: 2, seqLen: 16, rank: 2, evaluation };
  const config = `${folder}/${name}.json`;
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      base: { ...base, alpha: 2 },
      grid: [
        { steps: [400], method: ["olora", "lora"], learningRate: [1e-3], seed: [1] },
        { steps: [4], method: ["olora", "lora"], learningRate: [1e-3, 1e-2], seed: [1, 2] },
        { steps: [4], method: ["full"], learningRate: [1e-3], seed: [1, 2] },
      ],
      measures: { validation: "held_out.jsonl", test: "held_out.jsonl" },
      rows: `${name}.jsonl`,
      work: `${name}-work`,
    }),
  );
  return { config, rows: `${folder}/${name}.jsonl`, work: `${folder}/${name}-work` };
}

/** Rows without what differs between two times of the same run. */
async function comparable(path: string) {
  return (await readRows(path)).map(({ date: _, command: _c, initMs: _ms, secondsPerStep: _s, ...row }) =>
    row
  );
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 60_000; performance.now() < end;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`not within a minute: ${what}`);
}

Deno.test({
  name: "olora sweep --slurm, a task killed with -9 and one preempted, ends with the rows of one machine",
  ignore: requires("slurm").ignore,
  async fn() {
    const folder = await Deno.makeTempDir();
    await using cluster = await SlurmCluster.start();
    const array = await sweepFiles(folder, "array");
    const words = ["sweep", array.config, "--slurm", "--time", "10"];
    const submitting = oloraSlurm(cluster.env, ...words).spawn();
    const first = outcome(submitting);
    await until("a submission", async () => await cluster.run("squeue", "-h") || undefined);
    submitting.kill("SIGINT");
    const left = await first;
    assertEquals([left.code, left.stdout], [1, ""]);
    assertStringIncludes(left.stderr, "runs to make: 12; cost not known yet");
    assertStringIncludes(
      left.stderr,
      "error: Cannot finish: 0 of 12 runs done; the array goes on (`scancel --name olora-array-",
    );
    const ended = outcome(oloraSlurm(cluster.env, ...words));

    const queued = (await until("two runs under way", async () => {
      const lines = (await cluster.run("squeue", "-h", "-r", "-t", "R", "-o", "%A %K")).trim().split("\n");
      const jobs = new Map(lines.map((line) => line.split(" ").reverse() as [string, string]));
      return jobs.has("1") && jobs.has("2") && await runsUnderWay(array.work) === 2 ? jobs : undefined;
    })).get("1")!;
    const listed = (await cluster.run("scontrol", "listpids", queued)).trim().split("\n").slice(1);
    // The shell and what it started: the run must not end by itself meanwhile.
    for (const line of listed) Deno.kill(Number(line.trim().split(/\s+/)[0]), "SIGKILL");
    const preempting = ["--partition=high", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"];
    await cluster.run("sbatch", ...preempting);

    const { code, stdout, stderr } = await ended;
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "12 runs, 12 of them made now");
    assertEquals(stderr.match(/submitted.*/g)?.length, 1, stderr);
    assertMatch(stderr, /submitted 1 task as job \d+ \(again: part 1\)/);
    const log = await logOf(array.work, 2);
    assertMatch(
      log,
      /DUE TO PREEMPTION[^]*error: Cannot finish: stopped with 0 of 1 runs done[^]*1 of them made now/,
    );

    const whole = await sweepFiles(folder, "whole");
    const local = await run("sweep", whole.config);
    assertEquals(local.code, 0, local.stderr);
    assertEquals(await comparable(array.rows), await comparable(whole.rows));
    const again = await outcome(oloraSlurm(cluster.env, "sweep", array.config, "--slurm", "--json"));
    assertEquals(JSON.parse(again.stdout), { runs: 12, made: 0, rows: array.rows });
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("olora sweep --slurm says in one line what it lacks", async () => {
  const folder = await Deno.makeTempDir();
  const { config } = await sweepFiles(folder, "lone");
  const [slurm, words] = [oloraSlurm({ PATH: "" }, "sweep", config, "--slurm"), ["sweep", config]];
  const cases: [Deno.Command, string][] = [
    [slurm, "error: Cannot submit to Slurm: cannot start squeue: it is not on this machine"],
    [
      olora(...words, "--slurm"),
      "cannot start squeue: Deno was not allowed to, expected `deno task olora-slurm`",
    ],
    [olora(...words, "--slurm", "--pack", "0"), "error: Cannot use --pack 0: expected a whole number >= 1"],
    [olora(...words, "--slurm", "--part", "1/2"), "error: Cannot use --part with --slurm"],
    [olora(...words, "--time", "1"), "error: Cannot use --time: expected --slurm with it"],
    [olora(...words, "--part", "3/2"), "error: Cannot take part 3/2: expected I/N"],
  ];
  for (const [command, message] of cases) {
    const { code, stdout, stderr } = await outcome(command);
    assertEquals([code, stdout], [1, ""], stderr);
    assertStringIncludes(stderr.split("\n").find((line) => line.startsWith("error: ")) ?? stderr, message);
  }
  await Deno.remove(folder, { recursive: true });
});

/** Runs that have made an update and are not finished. */
async function runsUnderWay(work: string): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir(work)) {
    count += await Deno.stat(`${work}/${name}/metrics.jsonl`).then(({ size }) => Number(size > 0), () => 0);
  }
  return count;
}

async function logOf(work: string, part: number): Promise<string> {
  for await (const { name } of Deno.readDir(`${work}/logs`)) {
    if (name.includes(`-12-${part}-`)) return await Deno.readTextFile(`${work}/logs/${name}`);
  }
  throw new Error(`no log of part ${part}`);
}
