import type { HostTensor } from "../core/host_tensor.ts";
import { byteLength } from "../core/host_tensor.ts";
import { writeFileAtomic } from "./atomic.ts";

/** A value of a GGUF file's metadata with its type, as GGUF names it. */
export type GgufField = readonly ["string", string] | readonly ["f32" | "u32", number];

/** GGUF's numbers of the types of metadata and of tensors that are written. */
const FIELDS = { u32: 4, f32: 6, string: 8 };
const TENSORS: Readonly<Record<string, number>> = { f32: 0, f16: 1, bf16: 30 };

/** Tensors start at multiples of this many bytes: the format's default. */
const ALIGNMENT = 32;

/**
 * A GGUF file of version 3, little-endian, as pieces to write in order: the header, then each tensor with its padding.
 *
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 *
 * @param metadata Fields by key, in the order in which they are written.
 * @param tensors Tensors by name; shapes row-major, which the file stores reversed.
 * @throws {TypeError} If a tensor is of a type that is not written.
 * @throws {RangeError} If a tensor's bytes do not fit its shape.
 */
export function encodeGguf(
  metadata: ReadonlyMap<string, GgufField>,
  tensors: ReadonlyMap<string, HostTensor>,
): Uint8Array<ArrayBuffer>[] {
  const head: Uint8Array<ArrayBuffer>[] = [];
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    head.push(u64(bytes.length), bytes);
  };
  head.push(new TextEncoder().encode("GGUF"), u32(3), u64(tensors.size), u64(metadata.size));
  for (const [key, [type, value]] of metadata) {
    text(key);
    head.push(u32(FIELDS[type]));
    if (type === "string") text(value);
    else head.push(type === "f32" ? new Uint8Array(Float32Array.of(value).buffer) : u32(value));
  }
  const data: Uint8Array<ArrayBuffer>[] = [];
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    if (!Object.hasOwn(TENSORS, dtype)) {
      throw new TypeError(
        `Cannot write tensor ${name}: found ${dtype}, expected ${Object.keys(TENSORS).join(", ")}`,
      );
    }
    const expected = byteLength(shape, dtype);
    if (bytes.length !== expected) {
      throw new RangeError(
        `Cannot write tensor ${name}: found ${bytes.length} bytes, expected ${expected} for ${dtype} [${
          shape.join(", ")
        }]`,
      );
    }
    text(name);
    head.push(u32(shape.length), ...shape.toReversed().map(u64), u32(TENSORS[dtype]), u64(end));
    const padding = padded(bytes.length) - bytes.length;
    data.push(bytes, new Uint8Array(padding));
    end += bytes.length + padding;
  }
  const length = head.reduce((sum, piece) => sum + piece.length, 0);
  return [...head, new Uint8Array(padded(length) - length), ...data];
}

/**
 * Writes a GGUF file, whole or not at all; see {@linkcode encodeGguf}.
 *
 * @throws {TypeError} If a tensor is of a type that is not written.
 * @throws {RangeError} If a tensor's bytes do not fit its shape.
 */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufField>,
  tensors: ReadonlyMap<string, HostTensor>,
): Promise<void> {
  await writeFileAtomic(path, encodeGguf(metadata, tensors));
}

function u32(x: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint32Array.of(x).buffer);
}

function u64(x: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(BigUint64Array.of(BigInt(x)).buffer);
}

function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
