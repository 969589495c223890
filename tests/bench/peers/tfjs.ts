/**
 * TensorFlow.js on WebGPU: `deno run -A tests/bench/peers/tfjs.ts`.
 */
import * as tf from "npm:@tensorflow/tfjs@4.22.0";
import "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";
import { type Job, mlpInputs, type Peer, productError, report, uniforms } from "./peer.ts";

/** Opens the library on WebGPU. */
export async function openTfjs(): Promise<Peer> {
  await tf.setBackend("webgpu");
  await tf.ready();
  if (tf.getBackend() !== "webgpu") throw new Error(`tfjs fell back to ${tf.getBackend()}`);
  return {
    name: "@tensorflow/tfjs 4.22.0 webgpu",
    matmul(n) {
      const hosts = [uniforms(n * n, 5), uniforms(n * n, 6)];
      const [a, b] = hosts.map((host) => tf.tensor2d(host, [n, n]));
      let c: tf.Tensor | undefined;
      return job([a, b], () => {
        c?.dispose();
        c = tf.matMul(a, b);
        return c;
      }, async () => productError(hosts[0], hosts[1], await c!.data(), n));
    },
    mlp(width, batch) {
      const inputs = mlpInputs(width, batch);
      const [x, y] = [inputs.x, inputs.y].map((host) => tf.tensor2d(host, [batch, width]));
      const [w1, w2] = [inputs.w1, inputs.w2].map((host) => tf.variable(tf.tensor2d(host, [width, width])));
      const optimizer = tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
      let loss: tf.Tensor | undefined;
      return job([x, y, w1, w2], () => {
        loss?.dispose();
        loss = optimizer.minimize(
          () => tf.mean(tf.square(tf.sub(tf.matMul(tf.relu(tf.matMul(x, w1)), w2), y))) as tf.Scalar,
          true,
        )!;
        return w1;
      }, async () => (await loss!.data())[0]);
    },
  };
}

/** `work` queues one round and returns a tensor that is ready when the round is. */
function job(inputs: tf.Tensor[], work: () => tf.Tensor, check: () => Promise<number>): Job {
  return {
    async run(times) {
      const start = performance.now();
      let last: tf.Tensor | undefined;
      for (let i = 0; i < times; i++) last = work();
      // Reading one element waits for everything queued before it.
      const element = tf.tidy(() => tf.slice(last!, [0, 0], [1, 1]));
      await element.data();
      element.dispose();
      return (performance.now() - start) / 1000 / times;
    },
    check,
    [Symbol.dispose]() {
      inputs.forEach((tensor) => tensor.dispose());
    },
  };
}

if (import.meta.main) await report(await openTfjs());
