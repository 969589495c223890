import type { Gpu } from "./gpu.ts";

/** Bytes of one buffer of a reservation: all devices make buffers of that size. */
const PIECE = 1 << 28;

/**
 * How many of `bytes` the device gives: asked of it under an out-of-memory scope, and given back. WebGPU does not tell how much
 * memory a device has, so this is the one way to know before anything is uploaded.
 *
 * @param free What the machine has, in bytes, where the device's memory is the machine's.
 */
export async function reservable(
  { device, info }: Gpu,
  bytes: number,
  free: () => number,
): Promise<number> {
  // A software adapter's machine gives more than it has.
  const most = info.isSoftware ? free() : Infinity;
  if (most < bytes) return most;
  const buffers: GPUBuffer[] = [];
  let given = 0;
  for (let error: GPUError | null = null; !error && given < bytes;) {
    const size = Math.min(bytes - given, PIECE);
    device.pushErrorScope("out-of-memory");
    buffers.push(device.createBuffer({ size, usage: GPUBufferUsage.STORAGE }));
    error = await device.popErrorScope();
    if (!error) given += size;
  }
  for (const buffer of buffers) buffer.destroy();
  return given;
}
