import { byteWidth } from "../core/dtype.ts";
import type { HostTensor } from "../core/host_tensor.ts";
import type { TensorInfo } from "./safetensors_format.ts";

/** GPT-2's Conv1D layers, whose matrices are stored as `[in, out]`. */
const CONV1D = /^transformer\.h\.\d+\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$/;

/** Whether the matrix called `name` is stored as `[in, out]`. */
export function isConv1d(name: string): boolean {
  return CONV1D.test(name);
}

/** The full name of a tensor: files saved without the head leave out `transformer.` (GPT-2) and `model.` (OPT). */
export function fullName(name: string): string {
  if (/^(wte|wpe|ln_f|h\.\d+)\./.test(name)) return `transformer.${name}`;
  return name.startsWith("decoder.") ? `model.${name}` : name;
}

/** What a file says of the tensor called `name`, as it is after {@linkcode withRowsOut}. */
export function infoWithRowsOut<Info extends Pick<TensorInfo, "shape">>(name: string, info: Info): Info {
  return isConv1d(name) ? { ...info, shape: info.shape.toReversed() } : info;
}

/** The tensor called `name` with a row for each output: the matrices of GPT-2 transposed. */
export function withRowsOut(name: string, tensor: HostTensor): HostTensor {
  return isConv1d(name) && tensor.shape.length === 2 ? transposed(tensor) : tensor;
}

/** The inverse of {@linkcode withRowsOut}: the tensor called `name` as a file holds it. */
export const asStored: (name: string, tensor: HostTensor) => HostTensor = withRowsOut;

/** The inverse of {@linkcode infoWithRowsOut}. */
export const infoAsStored: typeof infoWithRowsOut = infoWithRowsOut;

function transposed(tensor: HostTensor): HostTensor {
  const [m, n] = tensor.shape;
  const width = byteWidth(tensor.dtype);
  const Words = { 2: Uint16Array, 4: Uint32Array }[width];
  if (!Words) throw new TypeError(`Cannot transpose ${tensor.dtype}: expected f32, f16 or bf16`);
  const from = new Words(tensor.bytes.slice().buffer);
  const to = new Words(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) to[j * m + i] = from[i * n + j];
  }
  return { ...tensor, shape: [n, m], bytes: new Uint8Array(to.buffer) };
}
