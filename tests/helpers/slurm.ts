import { requires } from "./requires.ts";

const decoder = new TextDecoder();
const NODE = Deno.hostname().split(".")[0];

/**
 * A Slurm cluster of one node with two cores, on this machine and with nothing outside its own temporary folder: munged,
 * slurmctld and slurmd under the user's own account, ports that were free, no cgroups, no database.
 *
 * Partition `low` is the default one; jobs in `high` preempt its tasks, which Slurm then requeues.
 */
export class SlurmCluster implements AsyncDisposable {
  readonly #supervisor: Deno.ChildProcess;
  /** What the programs of Slurm need in their environment to find it. */
  readonly env: Record<string, string>;

  private constructor(supervisor: Deno.ChildProcess, folder: string) {
    this.#supervisor = supervisor;
    this.env = { SLURM_CONF: `${folder}/slurm.conf` };
  }

  /** Starts the daemons and waits until the node takes jobs. */
  static async start(): Promise<SlurmCluster> {
    const folder = await Deno.makeTempDir({ prefix: "slurm-" });
    // The socket of munged has to be within everybody's reach; its key is the owner's alone.
    await Deno.chmod(folder, 0o755);
    const key = crypto.getRandomValues(new Uint8Array(1024));
    await Deno.writeFile(`${folder}/munge.key`, key, { mode: 0o600 });
    await Deno.writeTextFile(`${folder}/slurm.conf`, configuration(folder));
    const supervisor = new Deno.Command("sh", {
      args: ["-c", SUPERVISOR, "sh", folder, requires("slurm").path, NODE],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const cluster = new SlurmCluster(supervisor, folder);
    for (let tries = 0; tries < 100; tries++) {
      if ((await cluster.run("sinfo", "-h", "-o", "%T").catch(() => "")).includes("idle")) return cluster;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const log = await Deno.readTextFile(`${folder}/log`).catch(() => "");
    await cluster[Symbol.asyncDispose]();
    throw new Error(`the node does not come up:\n${log.split("\n").slice(-20).join("\n")}`);
  }

  /** What a program of Slurm prints. */
  async run(program: string, ...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command(program, { args, env: this.env }).output();
    if (!success) throw new Error(`${program}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  }

  /** Ends all jobs and daemons and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor.stdin.close();
    await this.#supervisor.status;
  }
}

/** Starts the daemons and ends them when its input closes: at the end of a test, or of the process that ran it, however. */
const SUPERVISOR = `
folder=$1
export SLURM_CONF=$folder/slurm.conf
exec 3<&0 >"$folder/log" 2>&1 </dev/null
trap : INT TERM
PATH=$(dirname "$2"):$PATH
munged --foreground --key-file="$folder/munge.key" --socket="$folder/munge.socket" \\
  --pid-file="$folder/munged.pid" --seed-file="$folder/munge.seed" --num-threads=4 3<&- &
munged=$!
for i in $(seq 100); do [ -S "$folder/munge.socket" ] && break; sleep 0.1; done
slurmctld -D 3<&- &
slurmctld=$!
slurmd -D -N "$3" 3<&- &
slurmd=$!
cat <&3
scancel --full --signal=KILL --user="$(id -un)"
scancel --user="$(id -un)"
for i in $(seq 60); do [ -z "$(squeue -h)" ] && break; sleep 0.5; done
kill $slurmd $slurmctld
wait $slurmd $slurmctld
kill $munged
wait $munged
rm -rf "$folder"
`;

function configuration(folder: string): string {
  const user = decoder.decode(new Deno.Command("id", { args: ["-un"] }).outputSync().stdout).trim();
  return `
ClusterName=throwaway
SlurmctldHost=${NODE}(127.0.0.1)
SlurmctldPort=${freePort()}
SlurmdPort=${freePort()}
SlurmUser=${user}
SlurmdUser=${user}
AuthType=auth/munge
# Requeued tasks start again when credentials of their first start have run out: 120 s by default.
AuthInfo=socket=${folder}/munge.socket,cred_expire=5
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
MailProg=/bin/true
JobRequeue=1
ReturnToService=2
KillWait=20
NodeName=${NODE} NodeAddr=127.0.0.1 CPUs=2
PartitionName=low Nodes=${NODE} Default=YES PriorityTier=1
PartitionName=high Nodes=${NODE} PriorityTier=2 PreemptMode=OFF
`;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
