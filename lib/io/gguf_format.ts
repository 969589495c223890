import { blockSize, byteWidth, type DType, type GgufBlockDType } from "../core/dtype.ts";
import { HEADER_LIMIT, type TensorInfo } from "./safetensors_format.ts";

/** A value of a GGUF file's metadata; arrays of numbers are typed arrays. */
export type GgufValue = string | number | boolean | GgufArray;

/** An array in the metadata. */
export interface GgufArray extends ArrayLike<GgufValue> {}

/** Element types of tensors that are read. */
export type GgufDType = "F32" | "F16" | "BF16" | Uppercase<GgufBlockDType>;

/** What a GGUF header says. */
export interface GgufHeader {
  /** Values by key; see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md for the keys in use. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** The tensors by name, in the order of their bytes; shapes row-major, so reversed from what the file stores. */
  readonly tensors: ReadonlyMap<string, TensorInfo & { readonly dtype: GgufDType }>;
}

/** ggml's numbers of the types that are read. */
const READABLE: Readonly<Record<number, GgufDType>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  6: "Q5_0",
  7: "Q5_1",
  8: "Q8_0",
  12: "Q4_K",
  14: "Q6_K",
  30: "BF16",
};

/** Names of ggml's other types, for errors; they stand at their numbers. */
const OTHERS =
  ("4:Q4_2 5:Q4_3 9:Q8_1 10:Q2_K 11:Q3_K 13:Q5_K 15:Q8_K 16:IQ2_XXS 17:IQ2_XS 18:IQ3_XXS 19:IQ1_S 20:IQ4_NL " +
    "21:IQ3_S 22:IQ2_S 23:IQ4_XS 24:I8 25:I16 26:I32 27:I64 28:F64 29:IQ1_M 34:TQ1_0 35:TQ2_0 39:MXFP4")
    .split(" ");

/** Numeric types of metadata: bytes, and what reads one at a place. */
const NUMBERS: Readonly<
  Record<number, [bytes: number, read: (view: DataView, at: number) => number | bigint]>
> = {
  0: [1, (view, at) => view.getUint8(at)],
  1: [1, (view, at) => view.getInt8(at)],
  2: [2, (view, at) => view.getUint16(at, true)],
  3: [2, (view, at) => view.getInt16(at, true)],
  4: [4, (view, at) => view.getUint32(at, true)],
  5: [4, (view, at) => view.getInt32(at, true)],
  6: [4, (view, at) => view.getFloat32(at, true)],
  10: [8, (view, at) => view.getBigUint64(at, true)],
  11: [8, (view, at) => view.getBigInt64(at, true)],
  12: [8, (view, at) => view.getFloat64(at, true)],
};
const [BOOL, STRING, ARRAY] = [7, 8, 9];

/** Least bytes that a key with its value, and a tensor's entry, take. */
const [LEAST_PAIR, LEAST_TENSOR] = [13, 32];

/**
 * Parses and checks a header: counts and lengths that fit the file, known types, tensors inside the file that do not
 * overlap.
 *
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Own parser:
 * `npm:@huggingface/gguf` 0.4.6 pads what it reads with zeros, so that a truncated header is taken for one of zeros and
 * cut strings, fills arrays of any announced length before it looks for the file's end, and lets a key or tensor occur
 * twice.
 *
 * @param read Reads bytes of the file; never asked for any past its end.
 * @param fileSize Bytes of the whole file.
 * @param name The file's name, for errors.
 * @throws {SyntaxError} If the header breaks a rule; the message names the tensor, what was found and expected.
 * @throws {TypeError} If a tensor is of a type that is not read; the message names it.
 */
export function parseGguf(
  read: (offset: number, length: number) => Uint8Array<ArrayBuffer>,
  fileSize: number,
  name: string,
): GgufHeader {
  const fail: Fail = (found) => {
    throw new SyntaxError(`Cannot read ${name}: ${found}`);
  };
  const cursor = new Cursor(read, Math.min(fileSize, HEADER_LIMIT), fail);
  const magic = String.fromCharCode(...cursor.bytes(4, "the magic"));
  if (magic !== "GGUF") fail(`found ${JSON.stringify(magic)} at its start, expected "GGUF"`);
  const version = cursor.number(4, "the version");
  if (version !== 2 && version !== 3) fail(`found version ${version}, expected 2 or 3 (little-endian)`);
  const tensorCount = cursor.number(10, "the number of tensors");
  const pairs = cursor.number(10, "the number of metadata keys");
  const least = cursor.at + tensorCount * LEAST_TENSOR + pairs * LEAST_PAIR;
  if (least > fileSize) {
    fail(
      `found ${tensorCount} tensors and ${pairs} metadata keys in ${fileSize} bytes, expected at least ${least} bytes for them`,
    );
  }
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairs; i++) {
    const key = cursor.string(`key ${i}`);
    if (metadata.has(key)) fail(`found metadata key ${key} twice`);
    metadata.set(key, value(cursor, cursor.number(4, `the type of ${key}`), `metadata ${key}`, 0, fail));
  }
  const alignment = metadata.get("general.alignment") ?? 32;
  if (typeof alignment !== "number" || !Number.isInteger(alignment) || alignment < 8 || alignment % 8) {
    return fail(`found general.alignment ${String(alignment)}, expected a multiple of 8`);
  }
  const entries = Array.from({ length: tensorCount }, (_, i) => tensorEntry(cursor, i, name, fail));
  const base = Math.ceil(cursor.at / alignment) * alignment;
  return { metadata, tensors: placed(entries, base, alignment, fileSize, fail) };
}

type Fail = (found: string) => never;
type Entry = [name: string, info: TensorInfo & { readonly dtype: GgufDType }];

/** Reads one thing after the other and never past `end`. */
class Cursor {
  at = 0;
  #start = 0;
  #held = new Uint8Array(0);
  readonly #read: (offset: number, length: number) => Uint8Array<ArrayBuffer>;
  readonly #end: number;
  readonly #fail: Fail;

  constructor(read: (offset: number, length: number) => Uint8Array<ArrayBuffer>, end: number, fail: Fail) {
    this.#read = read;
    this.#end = end;
    this.#fail = fail;
  }

  bytes(length: number, what: string): Uint8Array<ArrayBuffer> {
    if (length > this.#end - this.at) {
      this.#fail(
        `${what} takes ${length} bytes from byte ${this.at} on, expected the header to end by byte ${this.#end}`,
      );
    }
    if (this.at + length > this.#start + this.#held.length) {
      this.#start = this.at;
      this.#held = this.#read(this.at, Math.min(Math.max(length, 1 << 18), this.#end - this.at));
    }
    const from = this.at - this.#start;
    this.at += length;
    return this.#held.subarray(from, from + length);
  }

  /** A number of one of the types of `NUMBERS`. */
  number(type: number, what: string): number {
    const [width, read] = NUMBERS[type];
    const bytes = this.bytes(width, what);
    const found = read(new DataView(bytes.buffer, bytes.byteOffset), 0);
    if (typeof found === "bigint" && !Number.isSafeInteger(Number(found))) {
      this.#fail(`found ${found} for ${what}, expected a magnitude below 2^53`);
    }
    return Number(found);
  }

  string(what: string): string {
    const bytes = this.bytes(this.number(10, `the length of ${what}`), what);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return this.#fail(`found bytes that are no UTF-8 for ${what}`);
    }
  }
}

function value(cursor: Cursor, type: number, what: string, depth: number, fail: Fail): GgufValue {
  if (Object.hasOwn(NUMBERS, type)) return cursor.number(type, what);
  if (type === BOOL) return cursor.bytes(1, what)[0] !== 0;
  if (type === STRING) return cursor.string(what);
  if (type !== ARRAY) return fail(`found type ${type} for ${what}, expected 0 to 12`);
  if (depth === 4) return fail(`found arrays deeper than 4 for ${what}`);
  const inner = cursor.number(4, `the element type of ${what}`);
  const count = cursor.number(10, `the length of ${what}`);
  if (Object.hasOwn(NUMBERS, inner) || inner === BOOL) {
    const [width, read] = NUMBERS[inner] ?? NUMBERS[0];
    const bytes = cursor.bytes(count * width, what);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Float64Array.from({ length: count }, (_, i) => Number(read(view, i * width)));
  }
  const values: GgufValue[] = [];
  // Grows as the file yields elements: an announced length alone allocates nothing.
  for (let i = 0; i < count; i++) values.push(value(cursor, inner, `${what}[${i}]`, depth + 1, fail));
  return values;
}

function tensorEntry(cursor: Cursor, i: number, file: string, fail: Fail): Entry {
  const name = cursor.string(`the name of tensor ${i}`);
  const axes = cursor.number(4, `the axes of tensor ${name}`);
  if (axes < 1 || axes > 4) fail(`tensor ${name} has ${axes} axes, expected 1 to 4`);
  const shape = Array.from({ length: axes }, () => cursor.number(10, `the shape of tensor ${name}`))
    .reverse();
  const type = cursor.number(4, `the type of tensor ${name}`);
  const byteOffset = cursor.number(10, `the offset of tensor ${name}`);
  if (!Object.hasOwn(READABLE, type)) {
    const other = OTHERS.find((entry) => entry.startsWith(`${type}:`))?.split(":")[1] ?? `number ${type}`;
    throw new TypeError(
      `Cannot read ${file}: tensor ${name} has type ${other}, expected ${Object.values(READABLE).join(", ")}`,
    );
  }
  const dtype = READABLE[type];
  const stored = dtype.toLowerCase() as DType;
  if (shape.at(-1)! % blockSize(stored)) {
    fail(
      `tensor ${name} has rows of ${shape.at(-1)}, expected a multiple of ${blockSize(stored)} for ${dtype}`,
    );
  }
  const byteLength = shape.reduce((product, axis) => product * axis, byteWidth(stored));
  return [name, { dtype, shape, byteOffset, byteLength }];
}

/** The entries with offsets from the start of the file, in their order there. */
function placed(
  entries: readonly Entry[],
  base: number,
  alignment: number,
  fileSize: number,
  fail: Fail,
): Map<string, Entry[1]> {
  const tensors = new Map<string, Entry[1]>();
  const sorted = [...entries].sort(([, p], [, q]) =>
    p.byteOffset - q.byteOffset || p.byteLength - q.byteLength
  );
  let [end, before] = [0, ""];
  for (const [name, { byteOffset, byteLength, ...info }] of sorted) {
    if (tensors.has(name)) fail(`found tensor ${name} twice`);
    if (byteOffset % alignment) {
      fail(`tensor ${name} starts at byte ${byteOffset} of the data, expected a multiple of ${alignment}`);
    }
    if (byteOffset < end) {
      fail(
        `tensor ${name} starts at byte ${byteOffset} of the data, expected at least ${end}, where ${before} ends`,
      );
    }
    [end, before] = [byteOffset + byteLength, name];
    if (!(base + end <= fileSize)) {
      fail(
        `tensor ${name} takes ${byteLength} bytes from byte ${
          base + byteOffset
        } on, expected it to end by ${fileSize}, where the file does`,
      );
    }
    tensors.set(name, { ...info, byteOffset: base + byteOffset, byteLength });
  }
  return tensors;
}
