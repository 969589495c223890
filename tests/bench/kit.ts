import type { Gpu } from "../../lib/gpu/gpu.ts";
import type { KernelSpec } from "../../lib/gpu/kernel.ts";
import { adamw } from "../../lib/ops/adamw.ts";
import { matmul, type MatmulForm } from "../../lib/ops/matmul.ts";
import { sumInto } from "../../lib/ops/sum.ts";
import error from "./mlp_error.wgsl" with { type: "text" };
import relu from "./mlp_relu.wgsl" with { type: "text" };
import reluBackward from "./mlp_relu_backward.wgsl" with { type: "text" };
import { type Job, mlpInputs, type Peer, productError, uniforms } from "./peers/peer.ts";

const elementwise = (name: string, source: string, storage: KernelSpec["storage"]): KernelSpec => ({
  name,
  source,
  storage,
  uniforms: name === "mlp_error" ? [["quads", "u32"], ["scale", "f32"]] : [["quads", "u32"]],
  workgroups: ({ quads }) => [Math.ceil(quads / 64), 1, 1],
});
const RELU = elementwise("mlp_relu", relu, ["read", "read_write"]);
const RELU_BACKWARD = elementwise("mlp_relu_backward", reluBackward, ["read", "read_write"]);
const ERROR = elementwise("mlp_error", error, ["read", "read", "read_write", "read_write"]);

/** The peers' two jobs done by this kit; `form` is how the product's operands are stored. */
export function openKit(gpu: Gpu): Peer & { matmul(n: number, form?: MatmulForm): Job } {
  return {
    name: "this kit",
    matmul(n: number, form: MatmulForm = "nn") {
      const stack = new DisposableStack();
      const hosts = [uniforms(n * n, 5), uniforms(n * n, 6)];
      const transposed = (x: Float32Array<ArrayBuffer>) =>
        x.map((_, i) => x[(i % n) * n + Math.floor(i / n)]);
      const a = stack.use(gpu.upload(form === "tn" ? transposed(hosts[0]) : hosts[0], [n, n]));
      const b = stack.use(gpu.upload(form === "nt" ? transposed(hosts[1]) : hosts[1], [n, n]));
      const into = stack.use(gpu.tensor([n, n]));
      const check = async () => productError(hosts[0], hosts[1], await gpu.read(into), n);
      return job(gpu, stack, () => matmul(gpu, form, a, b, { into }), check);
    },
    mlp(width, batch) {
      const stack = new DisposableStack();
      const inputs = mlpInputs(width, batch);
      const weights = width * width;
      const quads = batch * width / 4;
      const zeros = () => stack.use(gpu.upload(new Float32Array(2 * weights), [2 * weights]));
      const activation = () => stack.use(gpu.tensor([batch, width]));
      const [x, y] = [inputs.x, inputs.y].map((host) => stack.use(gpu.upload(host, [batch, width])));
      const parameters = stack.use(gpu.upload(new Float32Array([...inputs.w1, ...inputs.w2]), [2 * weights]));
      const [gradient, m, v] = [zeros(), zeros(), zeros()];
      const [w1, w2] = [0, weights].map((at) => parameters.view([width, width], at));
      const [dw1, dw2] = [0, weights].map((at) => gradient.view([width, width], at));
      const [z, h, p, dp, e, dh] = Array.from({ length: 6 }, activation);
      const loss = stack.use(gpu.upload(new Float32Array(1), [1]));
      let step = 0;
      return job(gpu, stack, () => {
        matmul(gpu, "nn", x, w1, { into: z });
        gpu.run(RELU, [z, h], { quads });
        matmul(gpu, "nn", h, w2, { into: p });
        gpu.run(ERROR, [p, y, dp, e], { quads, scale: 1 / (batch * width) });
        sumInto(gpu, e, loss);
        matmul(gpu, "tn", h, dp, { into: dw2 });
        matmul(gpu, "nt", dp, w2, { into: dh });
        gpu.run(RELU_BACKWARD, [h, dh], { quads });
        matmul(gpu, "tn", x, dh, { into: dw1 });
        adamw(gpu, { gradient, parameters, m, v, norm: loss }, { step: ++step, learningRate: 1e-3 });
      }, async () => (await gpu.read(loss))[0]);
    },
  };
}

function job(gpu: Gpu, stack: DisposableStack, record: () => void, check: () => Promise<number>): Job {
  return {
    async run(times) {
      const start = performance.now();
      for (let i = 0; i < times; i++) {
        record();
        gpu.flush();
      }
      await gpu.settled();
      return (performance.now() - start) / 1000 / times;
    },
    check,
    [Symbol.dispose]: () => stack.dispose(),
  };
}
