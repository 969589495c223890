import { assert, assertEquals } from "@std/assert";
import { addRule, crossEntropyRule, gateRule, rmsNormRule } from "../../lib/autograd/rules.ts";
import { constant, parameter, type Rule, Tape, type Variable } from "../../lib/autograd/tape.ts";
import type { Tensor } from "../../lib/gpu/tensor.ts";
import { testDevice } from "../helpers/device.ts";

const gpu = await testDevice();

const ones = (n = 4) => gpu.upload(new Float32Array(n).fill(1), [1, n]);

Deno.test("Tape sums the gradients of an input that one operation reads twice", async () => {
  using x = ones();
  using sink = ones();
  using dy = ones();
  using zero = gpu.upload(new Float32Array(4), [1, 4]);
  using tape = new Tape(gpu);
  const [made] = tape.apply(addRule, [parameter(x, sink), constant(zero)], null);
  const [y] = tape.apply(addRule, [made, made], null);
  const [z] = tape.apply(addRule, [y, y], null);
  tape.backward(z, dy);
  assertEquals([...await gpu.read(sink)], [5, 5, 5, 5]);
  assertEquals([...await gpu.read(dy)], [1, 1, 1, 1]);
});

Deno.test("Tape hands one gradient to several inputs, also where one of them has another already", async () => {
  const live = gpu.liveBytes;
  {
    using x = ones();
    using sink = ones();
    using other = ones();
    using dy = ones();
    using tape = new Tape(gpu);
    const [a] = tape.apply(addRule, [parameter(x, sink), constant(other)], null);
    const [b] = tape.apply(addRule, [parameter(x, sink), constant(other)], null);
    // The later operation gives a its first gradient, the earlier one gives a and b one tensor.
    using w = gpu.upload(new Float32Array(4), [4]);
    const [, h] = tape.apply(rmsNormRule, [a, constant(w), b], { eps: 1e-5 });
    const [y, h2] = tape.apply(rmsNormRule, [a, constant(w), h], { eps: 1e-5 });
    const [sum] = tape.apply(addRule, [y, h2], null);
    tape.backward(sum, dy);
    // With w = 0 the norm is constant, so sum = a + (a + b).
    assertEquals([...await gpu.read(sink)], [4, 4, 4, 4]);
  }
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Tape disposes a gradient that a rule returns for a frozen input", () => {
  const live = gpu.liveBytes;
  {
    using x = ones();
    using sink = ones();
    using dy = ones();
    using tape = new Tape(gpu);
    const [frozen] = tape.apply(addRule, [constant(x), constant(x)], null);
    const [y] = tape.apply(gateRule, [frozen, parameter(x, sink)], { phi: "silu" });
    tape.backward(y, dy);
  }
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Tape disposes what a loss made when nobody walks back from it", () => {
  const live = gpu.liveBytes;
  {
    using x = ones();
    using sink = ones();
    using head = gpu.upload(new Float32Array(8).fill(1), [2, 4]);
    using targets = gpu.upload(new Int32Array([1]), [1]);
    using tape = new Tape(gpu);
    const [made] = tape.apply(addRule, [parameter(x, sink), constant(x)], null);
    tape.apply(crossEntropyRule, [made, constant(head)], { targets, scale: 1 });
  }
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Tape.keep() keeps a value past the walk and dispose(); all else goes", async () => {
  const live = gpu.liveBytes;
  using x = ones();
  let kept: Tensor;
  {
    using tape = new Tape(gpu);
    const [y] = tape.apply(addRule, [constant(x), constant(x)], null);
    const [z] = tape.apply(addRule, [y, y], null);
    kept = tape.keep(z);
    tape.backward(z);
  }
  assertEquals([...await gpu.read(kept)], [4, 4, 4, 4]);
  kept.dispose();
  assertEquals(gpu.liveBytes - live, x.slab.bytes);
});

Deno.test("Tape walks 20,000 operations without recursion", async () => {
  using x = ones();
  using sink = gpu.upload(new Float32Array(4), [1, 4]);
  using dy = ones();
  using tape = new Tape(gpu);
  const same: Rule<null, null> = {
    name: "same",
    forward: (gpu, [x]) => ({ outputs: [gpu.tensor(x.value.shape)], saved: null }),
    backward: (_gpu, [dy]) => [dy],
  };
  let y = tape.apply(addRule, [parameter(x, sink), constant(x)], null)[0];
  for (let i = 0; i < 20000; i++) [y] = tape.apply(same, [y], null);
  tape.backward(y, dy);
  assertEquals([...await gpu.read(sink)], [1, 1, 1, 1]);
});

Deno.test("Tape.recompute() gives the same gradients bit for bit, and keeps less", async () => {
  const live = gpu.liveBytes;
  const n = 256;
  const numbers = (seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(1 + i * seed));
  const gradients = async (layers: number, isRecomputed: boolean) => {
    using x = gpu.upload(numbers(0.3), [4, n / 4]);
    using w = gpu.upload(numbers(0.7).slice(0, n / 4), [n / 4]);
    using sinks = gpu.upload(new Float32Array(n + n / 4), [n + n / 4]);
    using dy = gpu.upload(numbers(0.1), [4, n / 4]);
    const [start, weight] = [parameter(x, sinks.view([4, n / 4])), parameter(w, sinks.view([n / 4], n))];
    using tape = new Tape(gpu);
    const layer = (tape: Tape, [h, delta]: readonly Variable[]) => {
      const [y, sum] = tape.apply(rmsNormRule, [h, weight, delta], { eps: 1e-5 });
      const [gated] = tape.apply(gateRule, [y, y], { phi: "silu" });
      return [sum, tape.apply(addRule, [gated, y], null)[0]];
    };
    let [h, delta] = tape.apply(rmsNormRule, [start, weight, start], { eps: 1e-5 });
    for (let i = 0; i < layers; i++) {
      [h, delta] = isRecomputed ? tape.recompute([h, delta], layer) : layer(tape, [h, delta]);
    }
    const kept = gpu.liveBytes;
    tape.backward(tape.apply(addRule, [h, delta], null)[0], dy);
    return { kept, bits: new Uint32Array((await gpu.read(sinks)).buffer) };
  };
  const [whole, again] = [await gradients(3, false), await gradients(3, true)];
  assert(whole.bits.some((bits) => bits > 0));
  assertEquals(again.bits, whole.bits);
  // Of each layer's four values [4, 64] and its rho, the two at its end are kept.
  assert(again.kept <= whole.kept - 3 * 2 * 4 * n, `${again.kept} of ${whole.kept}`);
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Tape.recompute() passes an input through, and nothing back where no gradient is wanted", async () => {
  const live = gpu.liveBytes;
  {
    using x = ones();
    using sink = ones();
    using dy = ones();
    using tape = new Tape(gpu);
    const [made] = tape.apply(addRule, [parameter(x, sink), constant(x)], null);
    const [same, frozen] = tape.recompute([made, constant(x)], (tape, [a, b]) => {
      return [a, tape.apply(addRule, [b, b], null)[0]];
    });
    const [sum] = tape.apply(addRule, [same, frozen], null);
    tape.backward(sum, dy);
    assertEquals([...await gpu.read(sink)], [2, 2, 2, 2]);
  }
  assertEquals(gpu.liveBytes, live);
});

Deno.test("Tape.recompute() on a tape for values alone holds what goes from stage to stage, and no more", async () => {
  const live = gpu.liveBytes;
  {
    using x = ones();
    using tape = new Tape(gpu, { gradients: false });
    let stream = tape.apply(addRule, [constant(x), constant(x)], null);
    const held: number[] = [];
    for (let stage = 0; stage < 4; stage++) {
      stream = tape.recompute(stream, (tape, [a]) => {
        const [twice] = tape.apply(addRule, [a, a], null);
        return tape.apply(addRule, [twice, a], null);
      });
      held.push(gpu.liveBytes - live);
    }
    assertEquals(new Set(held).size, 1, `${held}`);
    const [same] = tape.recompute(stream, (_, [a]) => [a]);
    assertEquals([...await gpu.read(same.value)], [162, 162, 162, 162]);
  }
  assertEquals(gpu.liveBytes, live);
});
