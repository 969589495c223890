import { assert, assertEquals, assertRejects } from "@std/assert";
import { GpuError } from "../../lib/core/errors.ts";
import { listAdapters, openDevice } from "../../lib/gpu/device.ts";
import { Gpu } from "../../lib/gpu/gpu.ts";
import { adapterName } from "../../lib/gpu/preference.ts";
import { selfTest } from "../../lib/gpu/self_test.ts";
import { testDevice } from "../helpers/device.ts";

const gpu = await testDevice();

Deno.test("openDevice() asks for the adapter's own limits", async () => {
  const adapters = await listAdapters();
  const adapter = adapters.find(({ info }) => adapterName(info) === gpu.info.name)!;
  for (
    const limit of [
      "maxBufferSize",
      "maxStorageBufferBindingSize",
      "maxComputeInvocationsPerWorkgroup",
    ] as const
  ) {
    assertEquals(gpu.device.limits[limit], adapter.limits[limit]);
  }
});

Deno.test("openDevice() refuses an adapter that is not there, and says which are", async () => {
  const before = Deno.env.get("OLORA_ADAPTER");
  const message = `asked for adapter "no such adapter", found ${gpu.info.name}`;
  await assertRejects(() => openDevice({ adapter: "no such adapter" }), GpuError, message);
  try {
    Deno.env.set("OLORA_ADAPTER", "no such adapter");
    await assertRejects(() => openDevice(), GpuError, message);
    Deno.env.set("OLORA_ADAPTER", gpu.info.name.slice(0, 6).toUpperCase());
    using named = await openDevice();
    assertEquals(named.info.name, gpu.info.name);
  } finally {
    if (before === undefined) Deno.env.delete("OLORA_ADAPTER");
    else Deno.env.set("OLORA_ADAPTER", before);
  }
  using asked = await openDevice({ adapter: gpu.info.isSoftware ? "software" : "hardware" });
  assertEquals(asked.info.name, gpu.info.name);
});

Deno.test("selfTest() refuses a device that computes wrongly, naming the kernel", async () => {
  const errors = [
    (x: Float32Array) => x[0] *= 1 + 1e-4,
    (x: Float32Array) => x[64] = -x[64],
    (x: Float32Array) => x[x.length - 1] += 1,
    (x: Float32Array) => x[3] = NaN,
  ];
  for (const spoil of errors) {
    // The same device, but for one number that comes back wrong.
    const wrong = new Gpu(gpu.device, gpu.info, gpu.features);
    const read = wrong.read;
    wrong.read = async (tensor) => {
      const values = await read.call(wrong, tensor);
      spoil(values);
      return values;
    };
    const error = await assertRejects(() => selfTest(wrong), GpuError, "kernel self_test gave");
    assertEquals((error as GpuError).kernel, "self_test");
  }
  await selfTest(new Gpu(gpu.device, gpu.info, gpu.features));
});

Deno.test("openDevice() finds features by trying: subgroups come with their width", () => {
  assert(gpu.info.subgroupSize === 0 || gpu.features.has("subgroups"));
  assertEquals(gpu.features.has("timestamp-query"), gpu.device.features.has("timestamp-query"));
});
