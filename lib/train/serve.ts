import { RunChannel } from "./channel.ts";
import type { RunEvent } from "./run_event.ts";

/** A training as a generator: it yields an event a step, looks at `stopped()` between steps, and returns. */
export type TrainRun<Config> = (
  config: Config,
  control: { stopped(): boolean },
) => AsyncIterable<RunEvent>;

/** The one message that a Worker gets. */
export interface RunOrder<Config> {
  /** Memory of the channel. */
  readonly memory: SharedArrayBuffer;
  /** What to train, plain JSON. */
  readonly config: Config;
}

/** The part of a Worker's global scope that a run uses. */
interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  close(): void;
}

/** Makes this Worker run `train` once, on the config it is sent, and close itself. */
export function serveRun<Config>(train: TrainRun<Config>): void {
  const scope = globalThis as unknown as WorkerScope;
  scope.onmessage = async ({ data }: MessageEvent<RunOrder<Config>>) => {
    const channel = new RunChannel(data.memory);
    try {
      for await (const event of train(data.config, { stopped: () => channel.stopRequested })) {
        channel.append({ event });
      }
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      channel.append({ failure: { name, message } });
    } finally {
      channel.end();
      scope.close();
    }
  };
}
