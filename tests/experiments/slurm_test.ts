import { assert, assertEquals } from "@std/assert";
import { arrayIndices, type ArrayJob, batchScript, parseTasks, Slurm } from "../../lib/experiments/slurm.ts";

const JOB: ArrayJob = {
  name: "olora-a-1",
  parts: 12,
  command: ["printf", "%s\n", "it's/a b.json", "$HOME"],
  work: "out/50 %",
};

Deno.test("batchScript() starts the command in the shell's place with the task's part, words as they were", async () => {
  const { stdout, success } = await new Deno.Command("sh", {
    args: ["-c", batchScript(JOB)],
    env: { SLURM_ARRAY_TASK_ID: "3" },
  }).output();
  assert(success);
  assertEquals(new TextDecoder().decode(stdout), "it's/a b.json\n$HOME\n--part\n3/12\n");
  assert(batchScript(JOB).includes("\nexec printf "));
});

Deno.test("batchScript() asks for what was given, and for requeueing and an early SIGTERM", () => {
  const script = batchScript({ ...JOB, partition: "gpu", gres: "gpu:1", time: "2:00:00" });
  const options = script.split("\n").filter((line) => line.startsWith("#SBATCH"));
  assertEquals(options, [
    "#SBATCH --job-name=olora-a-1",
    "#SBATCH --output='out/50 %%/logs/olora-a-1-%a-%A.log'",
    "#SBATCH --open-mode=append",
    "#SBATCH --partition=gpu",
    "#SBATCH --gres=gpu:1",
    "#SBATCH --time=2:00:00",
    "#SBATCH --signal=B:TERM@60",
    "#SBATCH --requeue",
  ]);
  assert(!batchScript(JOB).includes("--partition"));
  assertEquals(new Slurm(JOB).log(3, "17"), "out/50 %/logs/olora-a-1-3-17.log");
});

Deno.test("arrayIndices() joins neighbours", () => {
  assertEquals(arrayIndices([5, 1, 3, 4, 9, 10]), "1,3-5,9-10");
  assertEquals(arrayIndices([7]), "7");
});

Deno.test("parseTasks() takes the tasks of one name from squeue's lines", () => {
  const lines = "4|1|olora-a-1|RUNNING|None\n4|2|olora-a-12|RUNNING|None\n" +
    "9|N/A|sh|PENDING|Priority\n5|3|olora-a-1|PENDING|Resources\n";
  assertEquals(parseTasks(lines, "olora-a-1"), [
    { job: "4", part: 1, state: "RUNNING", reason: "None" },
    { job: "5", part: 3, state: "PENDING", reason: "Resources" },
  ]);
  assertEquals(parseTasks("", "olora-a-1"), []);
});
