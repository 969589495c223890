/**
 * `@jax-js/jax` on WebGPU or on WebAssembly: `deno run -A tests/bench/peers/jax_js.ts [webgpu|wasm]`.
 */
import {
  blockUntilReady,
  defaultDevice,
  init,
  jit,
  nn,
  numpy as np,
  valueAndGrad,
} from "npm:@jax-js/jax@0.1.25";
import { type Job, mlpInputs, type Peer, productError, report, uniforms } from "./peer.ts";

type State = { w1: np.Array; w2: np.Array; m1: np.Array; m2: np.Array; v1: np.Array; v2: np.Array };

/** Opens the library on `backend`. */
export async function openJaxJs(backend: "webgpu" | "wasm"): Promise<Peer> {
  const available = await init(backend);
  if (!available.includes(backend)) throw new Error(`@jax-js/jax has no ${backend}: it offers ${available}`);
  defaultDevice(backend);
  return {
    name: `@jax-js/jax 0.1.25 ${backend}`,
    matmul(n) {
      const hosts = [uniforms(n * n, 5), uniforms(n * n, 6)];
      const [a, b] = hosts.map((host) => np.array(host, { device: backend }).reshape([n, n]));
      const multiply = jit((x: np.Array, y: np.Array) => np.matmul(x, y));
      let c: np.Array | undefined;
      return job(async (times) => {
        // Kept until all are done: jax-js never runs work whose result was disposed before it was sent off.
        const products = Array.from({ length: times }, () => multiply(a.ref, b.ref));
        await blockUntilReady(products);
        c?.dispose();
        c = products.pop();
        for (const product of products) product.dispose();
      }, async () => productError(hosts[0], hosts[1], await c!.ref.data() as Float32Array, n));
    },
    mlp(width, batch) {
      const inputs = mlpInputs(width, batch);
      const put = (host: Float32Array<ArrayBuffer>, rows: number) =>
        np.array(host, { device: backend }).reshape([rows, width]);
      const [x, y] = [put(inputs.x, batch), put(inputs.y, batch)];
      const loss = (w: { w1: np.Array; w2: np.Array }, x: np.Array, y: np.Array) =>
        np.square(np.matmul(nn.relu(np.matmul(x, w.w1)), w.w2).sub(y)).mean();
      const adam = (w: np.Array, g: np.Array, m: np.Array, v: np.Array, c1: np.Array, c2: np.Array) => {
        const m1 = m.mul(0.9).add(g.ref.mul(0.1));
        const v1 = v.mul(0.999).add(np.square(g).mul(0.001));
        const step = m1.ref.mul(c1).div(np.sqrt(v1.ref.mul(c2)).add(1e-8));
        return [w.sub(step.mul(1e-3)), m1, v1];
      };
      const step = jit((s: State, x: np.Array, y: np.Array, c1: np.Array, c2: np.Array) => {
        const [value, g] = valueAndGrad(loss)({ w1: s.w1.ref, w2: s.w2.ref }, x, y);
        const [w1, m1, v1] = adam(s.w1, g.w1, s.m1, s.v1, c1.ref, c2.ref);
        const [w2, m2, v2] = adam(s.w2, g.w2, s.m2, s.v2, c1, c2);
        return { value, w1, w2, m1, m2, v1, v2 };
      });
      const zeros = () => np.zeros([width, width], { device: backend });
      let state: State = {
        w1: put(inputs.w1, width),
        w2: put(inputs.w2, width),
        m1: zeros(),
        m2: zeros(),
        v1: zeros(),
        v2: zeros(),
      };
      let value: np.Array | undefined;
      let count = 0;
      return job(async (times) => {
        for (let i = 0; i < times; i++) {
          count++;
          const [c1, c2] = [0.9, 0.999].map((beta) => np.array(1 / (1 - beta ** count), { device: backend }));
          const next = step(state, x.ref, y.ref, c1, c2);
          value?.dispose();
          ({ value, ...state } = next);
        }
        await blockUntilReady([value!, state.w1]);
      }, async () => (await value!.ref.data())[0]);
    },
  };
}

function job(work: (times: number) => Promise<void>, check: () => Promise<number>): Job {
  return {
    async run(times) {
      const start = performance.now();
      await work(times);
      return (performance.now() - start) / 1000 / times;
    },
    check,
    // The process ends with the bench; the library frees by reference counts that outlive nothing.
    [Symbol.dispose]() {},
  };
}

if (import.meta.main) await report(await openJaxJs(Deno.args[0] === "wasm" ? "wasm" : "webgpu"));
