import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { GpuError } from "../../lib/core/errors.ts";
import { openDevice } from "../../lib/gpu/device.ts";
import type { KernelSpec } from "../../lib/gpu/kernel.ts";
import { add } from "../../lib/ops/add.ts";
import { sumInto } from "../../lib/ops/sum.ts";
import { testDevice } from "../helpers/device.ts";

const gpu = await testDevice();

const ones = (n: number) => gpu.upload(new Float32Array(n).fill(1), [1, n]);

/** y[i] += value. */
const count: KernelSpec = {
  name: "count",
  source: `struct Uniforms { value: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] += u.value; }`,
  storage: ["read_write"],
  uniforms: [["value", "u32"]],
  workgroups: () => [1, 1, 1],
};

Deno.test("Gpu.run() gives each dispatch its own uniforms, beyond what one arena holds", async () => {
  using y = gpu.upload(new Uint32Array(1), [1]);
  await gpu.settled();
  const before = gpu.submits;
  const times = 10000;
  for (let i = 1; i <= times; i++) gpu.run(count, [y], { value: i });
  assertEquals((await gpu.read(y))[0], Math.fround(times * (times + 1) / 2));
  const perSubmit = (1 << 20) / gpu.device.limits.minUniformBufferOffsetAlignment;
  assertEquals(gpu.submits - before, Math.ceil(times / perSubmit));
});

Deno.test("Gpu.run() submits nothing by itself", async () => {
  using y = gpu.upload(new Uint32Array(1), [1]);
  await gpu.settled();
  const before = gpu.submits;
  for (let i = 0; i < 100; i++) gpu.run(count, [y], { value: 1 });
  assertEquals(gpu.submits, before);
  gpu.flush();
  gpu.flush();
  assertEquals(gpu.submits, before + 1);
});

Deno.test("Gpu.write() reaches later commands and not those recorded before", async () => {
  using x = ones(4);
  using y = add(gpu, x, x);
  gpu.write(x, new Float32Array([5, 6, 7, 8]));
  using z = add(gpu, x, x);
  assertEquals([...await gpu.read(y)], [2, 2, 2, 2]);
  assertEquals([...await gpu.read(z)], [10, 12, 14, 16]);
  assertThrows(
    () => gpu.write(x, new Float32Array(5)),
    RangeError,
    "Cannot write 20 bytes: expected at most 16",
  );
});

Deno.test("Gpu.upload() into a buffer that recorded commands still read leaves them their contents", async () => {
  let y;
  {
    using x = ones(4);
    y = add(gpu, x, x);
  }
  using again = gpu.upload(new Float32Array([9, 9, 9, 9]), [4]);
  assertEquals([...await gpu.read(y)], [2, 2, 2, 2]);
  assertEquals([...await gpu.read(again)], [9, 9, 9, 9]);
  y.dispose();
});

Deno.test("Gpu.clear() and Gpu.copy() come in the order of the recorded commands", async () => {
  using x = ones(4);
  using y = add(gpu, x, x);
  using kept = gpu.tensor([1, 4]);
  gpu.copy(y, kept);
  gpu.clear(y);
  using z = add(gpu, y, x);
  using part = gpu.tensor([2]);
  gpu.copyRange(kept, 2, part);
  assertEquals([...await gpu.read(kept)], [2, 2, 2, 2]);
  assertEquals([...await gpu.read(y)], [0, 0, 0, 0]);
  assertEquals([...await gpu.read(z)], [1, 1, 1, 1]);
  assertEquals([...await gpu.read(part)], [2, 2]);
  assertThrows(() => gpu.copy(x, kept, 1), RangeError, "Cannot copy 4 elements");
});

Deno.test("Gpu.readBytes() gives odd numbers of bytes, and nothing for nothing", async () => {
  for (const n of [0, 1, 2, 3, 5, 127, 129]) {
    const bytes = Uint8Array.from({ length: 2 * n }, (_, i) => i);
    using x = gpu.uploadHost({ dtype: "f16", shape: [n], bytes });
    assertEquals(await gpu.readBytes(x), bytes);
  }
  assertThrows(() => gpu.upload(new Float32Array(3), [2, 2]), RangeError, "got 3 elements, expected 4");
});

Deno.test("Gpu.scope() frees what is made inside but for its result; keep() takes a tensor out", () => {
  const live = gpu.liveBytes;
  let kept!: Disposable;
  const [x, y] = gpu.scope(() => {
    ones(4);
    kept = gpu.keep(ones(4));
    return gpu.scope(() => [ones(4), ones(4), ones(4)].slice(1));
  });
  assertEquals(gpu.liveBytes - live, 3 * 256);
  kept[Symbol.dispose]();
  x.dispose();
  y.dispose();
  assertThrows(
    () =>
      gpu.scope(() => {
        ones(4);
        throw new RangeError("inside");
      }),
    RangeError,
    "inside",
  );
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Gpu names the kernel whose WGSL does not compile, and goes on afterwards", async () => {
  using y = gpu.upload(new Uint32Array(1), [1]);
  const bad = { ...count, name: "bad_wgsl", source: count.source.replace("u.value", "u.nothing") };
  gpu.run(bad, [y], { value: 1 });
  const error = await assertRejects(() => gpu.settled(), GpuError, "compiling kernel bad_wgsl");
  assertEquals((error as GpuError).kernel, "bad_wgsl");
  await gpu.settled().catch(() => {});
  using sum = gpu.tensor([1]);
  using x = ones(8);
  sumInto(gpu, x, sum);
  assertEquals((await gpu.read(sum))[0], 8);
});

Deno.test("Gpu.run() refuses what the device could not run, naming the kernel", () => {
  using y = gpu.upload(new Uint32Array(1), [1]);
  const refused = (spec: KernelSpec, tensors: readonly typeof y[], why: string) => {
    const error = assertThrows(() => gpu.run(spec, tensors, { value: 1 }), GpuError, why);
    assertEquals((error as GpuError).kernel, spec.name);
  };
  refused(count, [y, y], "Cannot run count: got 2 tensors, expected 1");
  refused({ ...count, workgroups: () => [1 << 20, 1, 1] }, [y], "Cannot run count: grid 1048576 × 1 × 1");
  const gone = gpu.tensor([3]);
  gone.dispose();
  refused(count, [gone], "Cannot run count: a tensor of shape [3] was disposed");
  const huge = y.view([1]);
  Object.defineProperty(huge, "byteLength", { value: 2 ** 40 });
  refused(count, [huge], "Cannot run count: a binding of 1099511627776 bytes, expected at most");
  assertThrows(() => gpu.run(count, [y], {}), TypeError, "Cannot run count: uniform value is missing");
  const lacking = { ...count, name: "lacking", features: ["no-such-feature" as "subgroups"] };
  refused(lacking, [y], "Cannot run lacking: it needs no-such-feature");
  gpu.run({ ...count, workgroups: () => [0, 1, 1] }, [y], { value: 1 });
});

Deno.test("Gpu.tensor() refuses more bytes than a buffer may have", () => {
  const live = gpu.liveBytes;
  assertThrows(() => gpu.tensor([2 ** 40]), GpuError, "(maxBufferSize)");
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Gpu tells of a lost device as a GpuError, at a read and at a wait", async () => {
  const lost = await openDevice();
  const x = lost.upload(new Float32Array([1, 2]), [2]);
  await lost.settled();
  lost[Symbol.dispose]();
  const error = await assertRejects(() => lost.read(x), Error);
  assertInstanceOf(error, GpuError);
});
