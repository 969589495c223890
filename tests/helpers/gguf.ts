import type { HostTensor } from "../../lib/core/host_tensor.ts";

/** A value of the metadata with its type, as GGUF names it; arrays have the type of their elements. */
export type TypedValue =
  | ["u32" | "i32" | "f32" | "u64" | "bool" | "string", number | boolean | string]
  | ["u32[]" | "i32[]" | "f32[]" | "bool[]" | "string[]", readonly (number | boolean | string)[]];

const TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, u64: 10 };
const DTYPES: Record<string, number> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q5_0: 6,
  q5_1: 7,
  q8_0: 8,
  q4_k: 12,
  q6_k: 14,
  bf16: 30,
};

/** What of a file is written otherwise than it should be. */
export interface Flaws {
  magic?: string;
  version?: number;
  tensorCount?: number;
  metadataCount?: number;
  /** Number of the type of every tensor. */
  dtype?: number;
  /** Offset of every tensor in the data. */
  offset?: number;
  /** Shape of every tensor, the fastest axis first. */
  shape?: readonly number[];
  /** Keys and tensors are written twice. */
  twice?: boolean;
}

/** A GGUF file of version 3, as https://github.com/ggml-org/ggml/blob/master/docs/gguf.md has it. */
export function encodeGguf(
  metadata: Readonly<Record<string, TypedValue>>,
  tensors: Readonly<Record<string, HostTensor>> = {},
  flaws: Flaws = {},
): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  const put = (bytes: ArrayLike<number>) => {
    for (let i = 0; i < bytes.length; i++) out.push(bytes[i]);
  };
  const u32 = (x: number) => put(new Uint8Array(Uint32Array.of(x).buffer));
  const u64 = (x: number) => put(new Uint8Array(BigUint64Array.of(BigInt(x)).buffer));
  const text = (x: string) => {
    const bytes = new TextEncoder().encode(x);
    u64(bytes.length);
    put(bytes);
  };
  const write: Record<keyof typeof TYPES, (x: number | boolean | string) => void> = {
    u32: (x) => u32(x as number),
    i32: (x) => u32(x as number),
    f32: (x) => put(new Uint8Array(Float32Array.of(x as number).buffer)),
    u64: (x) => u64(x as number),
    bool: (x) => put([Number(x)]),
    string: (x) => text(x as string),
  };
  const repeat = <T>(items: T[]) => flaws.twice ? [...items, ...items] : items;
  const pairs = repeat(Object.entries(metadata));
  const entries = repeat(Object.entries(tensors));
  put(new TextEncoder().encode(flaws.magic ?? "GGUF"));
  u32(flaws.version ?? 3);
  u64(flaws.tensorCount ?? entries.length);
  u64(flaws.metadataCount ?? pairs.length);
  for (const [key, [type, value]] of pairs) {
    text(key);
    if (Array.isArray(value)) {
      const element = type.slice(0, -2) as keyof typeof TYPES;
      u32(9);
      u32(TYPES[element]);
      u64(value.length);
      value.forEach(write[element]);
    } else {
      u32(TYPES[type as keyof typeof TYPES]);
      write[type as keyof typeof TYPES](value as number | boolean | string);
    }
  }
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of entries) {
    const axes = flaws.shape ?? [...shape].reverse();
    text(name);
    u32(axes.length);
    axes.forEach(u64);
    u32(flaws.dtype ?? DTYPES[dtype]);
    u64(flaws.offset ?? end);
    end = padded(end + bytes.length);
  }
  const base = padded(out.length);
  const file = new Uint8Array(base + end);
  file.set(out);
  let at = base;
  for (const [, { bytes }] of entries) {
    file.set(bytes, at);
    at = padded(at + bytes.length);
  }
  return file;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 32) * 32;
}

/** Writes `content` to a temporary .gguf file for the time of `test`. */
export async function inGguf(
  content: Uint8Array,
  test: (path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    await Deno.writeFile(path, content);
    await test(path);
  } finally {
    await Deno.remove(path);
  }
}
