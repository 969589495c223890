import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { attach, type AttachOptions } from "../../lib/adapters/attach.ts";
import type { Adapter } from "../../lib/adapters/adapter.ts";
import { batches } from "../../lib/datasets/batches.ts";
import { parseDataset } from "../../lib/datasets/load.ts";
import { loadModel, type Model } from "../../lib/nn/model.ts";
import { svd } from "../../lib/linalg/svd.ts";
import type { Tensor } from "../../lib/gpu/tensor.ts";
import { matmul } from "../../lib/reference/matmul.ts";
import { federated, type FederatedOptions } from "../../lib/train/federated.ts";
import { Trainer } from "../../lib/train/train.ts";
import { EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";
import { batches as fixtureBatches, modelFolder } from "../helpers/fixtures.ts";

const data = parseDataset(JSON.stringify({ batches: await fixtureBatches("llama_tied") }), "b.json");
const OPTIONS: FederatedOptions = { rounds: 2, steps: 3, learningRate: 1e-2 };

/** The batches from number `from` on: another client, another part of the data. */
function client(from: number) {
  return batches(data, { batchSize: 1, seqLen: 1, seed: 0, position: from });
}

async function load(): Promise<Model> {
  return await loadModel(modelFolder("llama_tied")!, { gpu: await testDevice() });
}

async function rounds(adapter: Adapter, options: FederatedOptions, froms = [0, 12, 24]) {
  return await Array.fromAsync(
    federated(adapter, froms.map((from, i) => ({ batches: client(from), weight: i + 1 })), options),
  );
}

const lora: AttachOptions = { method: "lora", rank: 3, targets: ["q_proj", "down_proj"] };

Deno.test("federated() with one client and one round is training", async () => {
  using model = await load();
  const { gpu } = model;
  const alone = await (async () => {
    using adapter = await attach(model, lora);
    using trainer = new Trainer(adapter, client(0), { steps: 3, learningRate: 1e-2 });
    const records = (await Array.fromAsync(trainer.run())).flat();
    return {
      data: await gpu.read(adapter.parameters.data),
      loss: records.reduce((sum, { loss }) => sum + loss, 0) / 3,
    };
  })();
  using adapter = await attach(model, lora);
  const [{ losses, gap }] = await rounds(adapter, { ...OPTIONS, rounds: 1 }, [0]);
  assertEquals(await gpu.read(adapter.parameters.data), alone.data);
  assertEquals(losses, [alone.loss]);
  assertLess(gap, EPS);
});

const one: AttachOptions = { ...lora, targets: ".*layers.0.*q_proj" };

/** B and A of `one` as each of three clients trains them by itself, and their mean with weights of 1, 2 and 3. */
async function clients(model: Model, options: AttachOptions) {
  const each: { a: Float64Array; b: Float64Array }[] = [];
  let dims = { m: 0, n: 0, k: 0 };
  for (const from of [0, 12, 24]) {
    using adapter = await attach(model, options);
    using trainer = new Trainer(adapter, client(from), { steps: 3, learningRate: 1e-2 });
    await Array.fromAsync(trainer.run());
    each.push(await factors(adapter));
    const [{ a, b }] = adapter.branches.values();
    dims = { m: b.value.shape[0], n: a.value.shape[1], k: a.value.shape[0] };
  }
  const mean = (of: (x: { a: Float64Array; b: Float64Array }) => Float64Array) =>
    of(each[0]).map((_, at) => each.reduce((sum, x, i) => sum + (i + 1) / 6 * of(x)[at], 0));
  return { dims, a: mean((x) => x.a), b: mean((x) => x.b), product: mean((x) => matmul(x.b, x.a, dims)) };
}

async function factors({ branches, model: { gpu } }: Adapter) {
  const [{ a, b }] = branches.values();
  return {
    a: Float64Array.from(await gpu.read(a.value)),
    b: Float64Array.from(await gpu.read(b.value)),
  };
}

const norm = (x: Float64Array) => Math.hypot(...x);

Deno.test("federated() averages factors by the clients' weights, and says what that does to their products", async () => {
  using model = await load();
  const expected = await clients(model, one);
  using adapter = await attach(model, one);
  const [{ gap }] = await rounds(adapter, { ...OPTIONS, rounds: 1 });
  const { a, b } = await factors(adapter);
  expectClose(a, expected.a, expected.a.map((x) => EPS * Math.abs(x)), "A");
  expectClose(b, expected.b, expected.b.map((x) => EPS * Math.abs(x)), "B");
  const found = matmul(b, a, expected.dims);
  const lost = norm(expected.product.map((x, i) => x - found[i])) / norm(expected.product);
  assert(lost > 1e-3);
  expectClose([gap], [lost], EPS, "gap");
});

Deno.test("federated() loses nothing where a factor is frozen, and less by products than by factors", async () => {
  using model = await load();
  const gaps: Record<string, number> = {};
  for (
    const [name, options, average] of [
      ["frozen A", { method: "lora-fa" }, "factors"],
      ["frozen B", { method: "olora", freeze: "B" }, "products"],
      ["factors", {}, "factors"],
      ["products", {}, "products"],
    ] as const
  ) {
    using adapter = await attach(model, { ...lora, ...options });
    const found = await rounds(adapter, { ...OPTIONS, average });
    assertEquals(found.map(({ round, losses }) => [round, losses.length]), [[1, 3], [2, 3]]);
    // Both kinds of average are of the same clients in the first round only.
    gaps[name] = found[name.startsWith("frozen") ? 1 : 0].gap;
  }
  assertLess(gaps["frozen A"], 10 * EPS);
  assertLess(gaps["frozen B"], 10 * EPS);
  assertLess(gaps.products, gaps.factors);
});

Deno.test("federated() by products leaves the r largest triplets of the clients' average", async () => {
  using model = await load();
  const { product, dims } = await clients(model, { ...one, rank: 1 });
  using adapter = await attach(model, { ...one, rank: 1 });
  const [{ gap }] = await rounds(adapter, { ...OPTIONS, rounds: 1, average: "products" });
  const { s } = svd(product, dims);
  expectClose([gap], [norm(s.slice(1)) / norm(s)], EPS, "gap");
  const { a, b } = await factors(adapter);
  expectClose([norm(matmul(b, a, dims))], [s[0]], 2 * EPS * s[0], "norm");
});

Deno.test("federated() refuses clients and adapters that cannot be averaged", async () => {
  using model = await load();
  using adapter = await attach(model, lora);
  const refused = async (clients: Parameters<typeof federated>[1], message: string, which = adapter) =>
    await assertRejects(() => Array.fromAsync(federated(which, clients, OPTIONS)), RangeError, message);
  await refused([], "Cannot average without clients: expected at least one");
  await refused([{ batches: client(0), weight: 0 }], "Cannot average with weight 0: expected a number > 0");
  const asked = async (options: Partial<Record<keyof FederatedOptions, unknown>>, message: string) =>
    await assertRejects(
      () => rounds(adapter, { ...OPTIONS, ...options } as FederatedOptions),
      RangeError,
      message,
    );
  await asked(
    { average: "median" },
    'Cannot average with average "median": expected "factors" or "products"',
  );
  await asked({ rounds: 0.5 }, "Cannot average with rounds 0.5: expected a whole number >= 1");
  await asked({ steps: 0 }, "Cannot average with steps 0: expected a whole number >= 1");
  using full = await attach(model, { method: "full" });
  await refused([{ batches: client(0) }], "Cannot average an adapter of method full", full);
});

for (const method of ["lora", "olora"]) {
  Deno.test(`federated() of ${method} gives the exact average too, and the gap is what lies between the two`, async () => {
    using model = await load();
    const { gpu } = model;
    const { dims, product } = await clients(model, { ...one, method });
    using adapter = await attach(model, { ...one, method });
    const [{ start }] = adapter.branches.values();
    const read = async (tensor: Tensor) => Float64Array.from(await gpu.read(tensor));
    const first = start ? matmul(await read(start.b), await read(start.a), dims) : product.map(() => 0);
    const [{ gap, exact }] = await rounds(adapter, { ...OPTIONS, rounds: 1 });
    const moved = product.map((x, i) => x - first[i]);
    const now = await factors(adapter);
    const lost = norm(matmul(now.b, now.a, dims).map((x, i) => product[i] - x)) / norm(moved);
    assert(lost > 1e-3);
    expectClose([gap], [lost], EPS, "gap");
    const { liveBytes } = gpu;
    {
      using all = await exact();
      assertEquals(model.changes, all);
      const k = (start ? 2 : 1) * 3 * dims.k;
      assertEquals(all.config.rank, k);
      const { a, b } = await factors(all);
      const size = matmul(b.map(Math.abs), a.map(Math.abs), { ...dims, k });
      // Each factor is rounded once where a start is taken from it, and once where its share is in it.
      expectClose(matmul(b, a, { ...dims, k }), moved, size.map((x) => 2 * EPS * x), "exact average");
    }
    assertEquals(gpu.liveBytes, liveBytes);
  });
}

Deno.test("federated() drops other inputs for each client and in each round", async () => {
  using model = await load();
  using adapter = await attach(model, { ...lora, dropout: 0.5 });
  const same = { ...OPTIONS, steps: 1, learningRate: 0 };
  // No rate, so that all start and end alike, and one batch, so that masks alone are left to differ.
  const batch = client(0).next().value!;
  const batches = { next: () => ({ done: false as const, value: batch }) };
  adapter.model.gpu.write(adapter.parameters.data, new Float32Array(adapter.parameters.data.size).fill(0.1));
  const found = await Array.fromAsync(federated(adapter, [{ batches }, { batches }], same));
  assertEquals(new Set(found.flatMap(({ losses }) => losses)).size, 4);
});

Deno.test("federated() leaves the adapter as it was before a round in which a client's data end", async () => {
  using model = await load();
  const { gpu } = model;
  using adapter = await attach(model, lora);
  const before = await gpu.read(adapter.parameters.data);
  const short = Iterator.from(client(0)).take(2);
  await assertRejects(
    () => Array.fromAsync(federated(adapter, [{ batches: client(0) }, { batches: short }], OPTIONS)),
    RangeError,
    "Cannot take step 3: the data ends after 2 batches",
  );
  assertEquals(await gpu.read(adapter.parameters.data), before);
});
