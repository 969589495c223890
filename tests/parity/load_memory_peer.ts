/**
 * Loads and merges models, and prints what that took as JSON: `load_memory_peer.ts MODEL OUT` reads MODEL, writes it to
 * OUT in f16 and ends; with MODEL alone it is read only. Host bytes are the process' resident ones, at their peak.
 */
import { loadModel, openDevice, saveModel } from "../../mod.ts";

const resident = async (field: "VmRSS" | "VmHWM") => {
  const status = await Deno.readTextFile("/proc/self/status");
  return 1024 * Number(status.match(new RegExp(`${field}:\\s+(\\d+)`))![1]);
};

const [path, out] = Deno.args;
using gpu = await openDevice();
const before = await resident("VmRSS");
using model = await loadModel(path, { gpu });
const loading = await resident("VmHWM") - before - (gpu.info.isSoftware ? gpu.liveBytes : 0);
const largest = Math.max(...[...model.weights.values()].map((weight) => weight.byteLength));
if (out) await saveModel(model, out, "f16");
console.log(JSON.stringify({ loading, largest, merging: await resident("VmHWM") - before }));
