/**
 * The Worker that trains: one run on a device of its own, told by a `RunChannel`.
 *
 * @module
 */
import { openDevice } from "../gpu/device.ts";
import { trainRun } from "./run.ts";
import type { RunConfig } from "./run_config.ts";
import { serveRun } from "./serve.ts";

serveRun(async function* (config: RunConfig, control) {
  using gpu = await openDevice();
  yield* trainRun(config, { ...control, gpu });
});
