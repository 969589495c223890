import { byteLength } from "../core/host_tensor.ts";
import type { HostTensor } from "../core/host_tensor.ts";
import { type BlockDType, type DType, type GgufBlockDType, isBlockDType } from "../core/dtype.ts";

/** Element types as safetensors spells them. */
export type StoredDType =
  | "BOOL"
  | "U8"
  | "I8"
  | "F8_E4M3"
  | "F8_E5M2"
  | "F8_E8M0"
  | "U16"
  | "I16"
  | "F16"
  | "BF16"
  | "U32"
  | "I32"
  | "F32"
  | "U64"
  | "I64"
  | "F64"
  | "C64";

/** Bytes of one element of each type a safetensors file may hold. */
const STORED_WIDTHS: Readonly<Record<StoredDType, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
};

const READABLE: Partial<Record<TensorInfo["dtype"], DType>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  U32: "u32",
  I32: "i32",
};
const STORED: Record<Exclude<DType, BlockDType>, StoredDType> = {
  f32: "F32",
  f16: "F16",
  bf16: "BF16",
  u32: "U32",
  i32: "I32",
};

/** Longest header that is read, bytes: the limit of the reference implementation. */
export const HEADER_LIMIT = 100_000_000;

/** Where a tensor lies in its file. */
export interface TensorInfo {
  /**
   * Element type as stored; all are listed, {@linkcode readableDType} tells which can be read. Block formats occur in
   * GGUF files alone.
   */
  readonly dtype: StoredDType | Uppercase<GgufBlockDType>;
  /** Lengths of the axes. */
  readonly shape: readonly number[];
  /** First byte, from the start of the file. */
  readonly byteOffset: number;
  /** Number of bytes. */
  readonly byteLength: number;
}

/** What a safetensors header says. */
export interface SafetensorsHeader {
  /** Free text that the writer stored. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/**
 * The length of the JSON header, from the first 8 bytes of a file.
 *
 * @param head The file's first bytes, at most 8.
 * @param fileSize Bytes of the whole file.
 * @param name The file's name, for errors.
 * @throws {SyntaxError} If this is no safetensors file or the header would be longer than the file or 100 MB.
 */
export function headerLength(head: Uint8Array, fileSize: number, name: string): number {
  const length = head.length < 8
    ? Infinity
    : Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
  const most = Math.min(HEADER_LIMIT, fileSize - 8);
  // A header of 640 bytes begins with the mark of a pickle; a pickle is no length that a file could have.
  const isPickle = head[0] === 0x80 && head[1] >= 2 && head[1] <= 5 && length > most;
  if (startsWith(head, "PK\x03\x04") || isPickle) {
    throw new SyntaxError(
      `Cannot read ${name}: found a PyTorch pickle, expected safetensors (pickles can run code; convert it with safetensors.torch.save_file)`,
    );
  }
  if (startsWith(head, "GGUF")) {
    throw new SyntaxError(`Cannot read ${name}: found a GGUF file, expected safetensors`);
  }
  if (head.length < 8) {
    throw new SyntaxError(
      `Cannot read ${name}: found ${fileSize} bytes, expected a header length of 8 bytes`,
    );
  }
  if (length > most) {
    throw new SyntaxError(
      `Cannot read ${name}: found a header length of ${length} bytes, expected at most ${most} (the file has ${fileSize} bytes)`,
    );
  }
  return length;
}

/**
 * Parses and checks a header: known types, shapes that agree with the byte ranges, and ranges that cover the
 * rest of the file without overlap or hole.
 *
 * @param header The JSON bytes that follow the length.
 * @param fileSize Bytes of the whole file.
 * @param name The file's name, for errors.
 * @throws {SyntaxError} If the header breaks a rule; the message names the tensor, what was found and expected.
 */
export function parseHeader(header: Uint8Array, fileSize: number, name: string): SafetensorsHeader {
  const fail = (found: string): never => {
    throw new SyntaxError(`Cannot read ${name}: ${found}`);
  };
  const json = parseObject(header, fail);
  const base = 8 + header.length;
  let metadata: Record<string, string> = {};
  const tensors: [string, TensorInfo][] = [];
  for (const [key, entry] of Object.entries(json)) {
    if (key === "__metadata__") metadata = parseMetadata(entry, fail);
    else tensors.push([key, parseEntry(key, entry, base, fail)]);
  }
  tensors.sort(([, p], [, q]) => p.byteOffset - q.byteOffset || p.byteLength - q.byteLength);
  let end = base;
  for (const [key, { byteOffset, byteLength }] of tensors) {
    if (byteOffset !== end) {
      fail(
        `tensor ${key} starts at byte ${byteOffset - base} of the data, expected ${end - base} (${
          byteOffset < end ? "it overlaps the one before" : "there is a hole before it"
        })`,
      );
    }
    end += byteLength;
  }
  if (end !== fileSize) {
    fail(`found a file of ${fileSize} bytes, expected ${end} (header and tensors); it may be truncated`);
  }
  return { metadata, tensors: new Map(tensors) };
}

/**
 * The element type in host memory of a stored type.
 *
 * @throws {TypeError} If this kit has no such type, e.g. `Cannot read tensor ids of x.safetensors: found dtype
 * I64, expected F32, F16, BF16, U32, I32`.
 */
export function readableDType(dtype: TensorInfo["dtype"], tensor: string, name: string): DType {
  const readable = READABLE[dtype];
  if (readable) return readable;
  throw new TypeError(
    `Cannot read tensor ${tensor} of ${name}: found dtype ${dtype}, expected ${
      Object.keys(READABLE).join(", ")
    }`,
  );
}

/**
 * What a safetensors file of these tensors begins with, and the order in which their bytes follow: length and header
 * (padded with spaces so that the data start at a multiple of 8); wider types first, names sorted within a width, so every
 * tensor is aligned to its elements and the same tensors give the same bytes.
 *
 * @throws {RangeError} If a tensor is named `__metadata__`.
 * @throws {TypeError} If a tensor is stored in blocks, which the format lacks.
 */
export function layOutSafetensors(
  tensors: ReadonlyMap<string, Pick<HostTensor, "dtype" | "shape">>,
  metadata: Readonly<Record<string, string>> = {},
): { head: Uint8Array<ArrayBuffer>; names: string[] } {
  const width = ([key, { dtype }]: [string, Pick<HostTensor, "dtype">]) =>
    STORED_WIDTHS[storedDType(dtype, key)];
  const sorted = [...tensors].sort((p, q) => width(q) - width(p) || (p[0] < q[0] ? -1 : 1));
  const json: [string, unknown][] = [];
  if (Object.keys(metadata).length) {
    json.push([
      "__metadata__",
      Object.fromEntries(Object.entries(metadata).sort(([p], [q]) => p < q ? -1 : 1)),
    ]);
  }
  let end = 0;
  for (const [key, { dtype, shape }] of sorted) {
    if (key === "__metadata__") {
      throw new RangeError("Cannot write a tensor named __metadata__: safetensors reserves that name");
    }
    const data_offsets = [end, end += byteLength(shape, dtype)];
    json.push([key, { dtype: storedDType(dtype, key), shape, data_offsets }]);
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(json)));
  const head = new Uint8Array(Math.ceil((8 + text.length) / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(text, 8);
  return { head, names: sorted.map(([key]) => key) };
}

function storedDType(dtype: DType, tensor: string): StoredDType {
  if (!isBlockDType(dtype)) return STORED[dtype];
  throw new TypeError(
    `Cannot write tensor ${tensor}: found ${dtype}, expected ${Object.keys(STORED).join(", ")}`,
  );
}

type Fail = (found: string) => never;

function parseObject(header: Uint8Array, fail: Fail): Record<string, unknown> {
  if (header[0] !== 0x7b) fail("the header does not start with {, expected a JSON object");
  let text: string, json: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(header);
    json = JSON.parse(text);
  } catch (cause) {
    return fail(`the header is not JSON (${(cause as Error).message})`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) fail(`the header names ${twice} twice`);
  return json as Record<string, unknown>;
}

function parseMetadata(entry: unknown, fail: Fail): Record<string, string> {
  if (!isRecord(entry) || !Object.values(entry).every((value) => typeof value === "string")) {
    fail(`found __metadata__ ${JSON.stringify(entry)}, expected an object of strings`);
  }
  return entry as Record<string, string>;
}

function parseEntry(key: string, entry: unknown, base: number, fail: Fail): TensorInfo {
  const wrong = (field: string, found: unknown, expected: string) =>
    fail(`tensor ${key} has ${field} ${JSON.stringify(found)}, expected ${expected}`);
  if (!isRecord(entry)) return wrong("entry", entry, "an object");
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(STORED_WIDTHS, dtype)) {
    return wrong("dtype", dtype, `one of ${Object.keys(STORED_WIDTHS).join(", ")}`);
  }
  if (!isCounts(shape)) return wrong("shape", shape, "a list of whole numbers >= 0");
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    return wrong("data_offsets", offsets, "[begin, end] with 0 <= begin <= end");
  }
  const expected = shape.reduce((product, axis) => product * axis, STORED_WIDTHS[dtype as StoredDType]);
  if (offsets[1] - offsets[0] !== expected) {
    return fail(
      `tensor ${key} has ${offsets[1] - offsets[0]} bytes, expected ${expected} for ${dtype} [${
        shape.join(", ")
      }]`,
    );
  }
  return { dtype: dtype as StoredDType, shape, byteOffset: base + offsets[0], byteLength: expected };
}

/** The first key that an object in the JSON text (valid, checked before) holds twice: JSON.parse hides it. */
function duplicateKey(text: string): string | undefined {
  const seen: Set<string>[] = [];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "{" || text[i] === "[") seen.push(new Set());
    else if (text[i] === "}" || text[i] === "]") seen.pop();
    else if (text[i] === '"') {
      const start = i++;
      for (; text[i] !== '"'; i++) if (text[i] === "\\") i++;
      let next = i + 1;
      while (text.charCodeAt(next) <= 32) next++;
      if (text[next] !== ":") continue;
      const key = JSON.parse(text.slice(start, i + 1));
      if (seen.at(-1)!.has(key)) return key;
      seen.at(-1)!.add(key);
    }
  }
}

function isCounts(x: unknown): x is number[] {
  return Array.isArray(x) && x.every((count) => Number.isSafeInteger(count) && count >= 0);
}

function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}

function startsWith(bytes: Uint8Array, magic: string): boolean {
  return bytes.length >= magic.length && [...magic].every((c, i) => bytes[i] === c.charCodeAt(0));
}
