import { assertEquals, assertRejects } from "@std/assert";
import { GGMLQuantizationType, gguf } from "npm:@huggingface/gguf@0.4.6";
import { blockDTypes, blockSize } from "../../lib/core/dtype.ts";
import { type HostTensor, hostTensor } from "../../lib/core/host_tensor.ts";
import { Rng } from "../../lib/core/rng.ts";
import { openGguf } from "../../lib/io/gguf.ts";
import { randomBlocks } from "../helpers/blocks.ts";
import { fixturePath, readFixture } from "../helpers/fixtures.ts";
import { smollm2 } from "../helpers/smollm2.ts";
import { encodeGguf, type Flaws, inGguf, type TypedValue } from "../helpers/gguf.ts";

const metadata: Record<string, TypedValue> = {
  "general.architecture": ["string", "llama"],
  "a.count": ["u32", 4_000_000_000],
  "a.large": ["u64", 2 ** 52],
  "a.real": ["f32", -0.5],
  "a.yes": ["bool", true],
  "a.words": ["string[]", ["", "é", "𝄞"]],
  "a.numbers": ["i32[]", [3, -1]],
  "a.flags": ["bool[]", [true, false]],
};

function sample(): Record<string, HostTensor> {
  const rng = new Rng(7, "gguf");
  const blocks = blockDTypes.filter((dtype) => dtype !== "nf4" && dtype !== "int8").map((dtype) =>
    [dtype, randomBlocks(rng, [3, blockSize(dtype)], dtype)] as const
  );
  return {
    ...Object.fromEntries(blocks),
    vector: hostTensor([5], [1, 2, 3, 4, 5]),
    halves: hostTensor([2, 3], [1, 2, 3, 4, 5, 6], "f16"),
    brain: hostTensor([1, 2], [1, 2], "bf16"),
  };
}

Deno.test("openGguf() gives back metadata and the bytes of every tensor", () =>
  inGguf(encodeGguf(metadata, sample()), async (path) => {
    using file = await openGguf(path);
    const plain = [...file.metadata].map(([key, value]) => [
      key,
      typeof value === "object" ? Array.from(value) : value,
    ]);
    assertEquals(
      Object.fromEntries(plain),
      Object.fromEntries(
        Object.entries(metadata).map(([key, [type, value]]) => [
          key,
          type === "bool[]" ? (value as boolean[]).map(Number) : value,
        ]),
      ),
    );
    for (const [name, tensor] of Object.entries(sample())) assertEquals(await file.read(name), tensor);
    assertEquals([...file.tensors.keys()], Object.keys(sample()));
    await assertRejects(() => file.read("none"), RangeError, "Cannot read tensor none");
  }));

Deno.test("openGguf() reads what gguf-py writes: values of every type, tensors of every block format", async () => {
  using file = await openGguf(fixturePath("written.gguf"));
  const values = [...file.metadata].filter(([key]) => key.startsWith("a."));
  assertEquals(
    Object.fromEntries(
      values.map(([key, value]) => [key, typeof value === "object" ? Array.from(value) : value]),
    ),
    {
      "a.uint8": 255,
      "a.int8": -128,
      "a.uint16": 65535,
      "a.int16": -32768,
      "a.uint32": 2 ** 32 - 1,
      "a.int32": -(2 ** 31),
      "a.uint64": 2 ** 53 - 1,
      "a.int64": -(2 ** 53) + 1,
      "a.float32": Math.fround(0.1),
      "a.float64": 0.1,
      "a.bool": true,
      "a.string": "naïve 𝄞\n",
      "a.strings": ["", "é", "b c"],
      "a.integers": [3, -1],
      "a.reals": [0.5, -2],
      "a.flags": [1, 0],
    },
  );
  assertEquals(await file.read("vector"), hostTensor([5], [0, 1, 2, 3, 4]));
  assertEquals(await file.read("halves"), hostTensor([2, 3], [0, 1, 2, 3, 4, 5], "f16"));
  const cases = await readFixture<{ type: string; blocks: string }[]>("gguf_blocks.json.gz");
  for (const { type, blocks } of cases.filter(({ type }) => /_/.test(type))) {
    const { dtype, shape, bytes } = await file.read(type);
    assertEquals([dtype, shape], [type.toLowerCase(), [2, blockSize(dtype)]]);
    assertEquals(bytes, Uint8Array.fromBase64(blocks).slice(0, bytes.length));
  }
});

const { path: smollm2Path, ignore: noSmollm2 } = await smollm2();
const FILES: [name: string, path: string, ignore: boolean][] = [
  ...["written", ...["gpt-2", "llama-bpe", "qwen2", "smollm"].map((pre) => `gguf_tokenizers/${pre}`)].map((
    name,
  ): [string, string, boolean] => [name, fixturePath(`${name}.gguf`), false]),
  ["SmolLM2-135M", smollm2Path, noSmollm2],
];
for (const [name, path, ignore] of FILES) {
  Deno.test({
    name: `openGguf() reads the header of ${name} as npm:@huggingface/gguf does`,
    ignore,
    async fn() {
      const peer = await gguf(path, { allowLocalFile: true });
      using file = await openGguf(path);
      const { version: _version, tensor_count: count, kv_count: keys, ...values } = peer.metadata as Record<
        string,
        unknown
      >;
      assertEquals([BigInt(file.tensors.size), BigInt(file.metadata.size)], [count, keys]);
      assertEquals(
        Object.fromEntries([...file.metadata].map(([key, value]) => [key, plain(value)])),
        Object.fromEntries(Object.entries(values).map(([key, value]) => [key, plain(value)])),
      );
      const first = Math.min(...[...file.tensors.values()].map(({ byteOffset }) => byteOffset));
      assertEquals(
        [...file.tensors].map(([name, { dtype, shape, byteOffset }]) => [
          name,
          dtype,
          shape,
          byteOffset - first,
        ]),
        peer.tensorInfos.map(({ name, dtype, shape, offset }) => [
          name,
          GGMLQuantizationType[dtype],
          shape.map(Number).reverse(),
          Number(offset),
        ]),
      );
    },
  });
}

/** One form of what the two readers have as numbers or as big integers, as arrays of a type or not, as flags or 0 and 1. */
function plain(value: unknown): unknown {
  if (typeof value === "object") return Array.from(value as ArrayLike<unknown>, plain);
  return typeof value === "string" ? value : Number(value);
}

Deno.test("openGguf() refuses every file that is cut short", async () => {
  const whole = encodeGguf(metadata, { w: sample().q4_0 });
  for (let length = 0; length < whole.length - 10; length += length < 64 ? 1 : 7) {
    await inGguf(whole.slice(0, length), async (path) => {
      await assertRejects(() => openGguf(path), SyntaxError, `Cannot read ${path}: `);
    });
  }
});

Deno.test("openGguf() never crashes on a file with a wrong byte: it reads it or refuses it", async () => {
  const whole = encodeGguf(metadata, { w: sample().q4_0, v: sample().vector });
  const rng = new Rng(11, "wrong bytes");
  for (let i = 0; i < 150; i++) {
    const wrong = whole.slice();
    wrong[rng.below(wrong.length)] ^= 1 + rng.below(255);
    await inGguf(wrong, async (path) => {
      await openGguf(path).then((file) => file.close(), (error) => {
        if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
        if (!error.message.startsWith(`Cannot read ${path}: `)) throw error;
      });
    });
  }
});

const FLAWS: [string, Flaws, string][] = [
  ["another magic", { magic: "GGML" }, 'found "GGML" at its start, expected "GGUF"'],
  ["version 1", { version: 1 }, "found version 1, expected 2 or 3"],
  ["the version of a big-endian file", { version: 3 << 24 }, "expected 2 or 3 (little-endian)"],
  ["more tensors than fit", { tensorCount: 2 ** 40 }, "found 1099511627776 tensors and 8 metadata keys in"],
  ["more keys than fit", { metadataCount: 2 ** 52 }, "and 4503599627370496 metadata keys in"],
  ["keys twice", { twice: true }, "found metadata key general.architecture twice"],
  [
    "rows that end inside a block",
    { shape: [16, 6] },
    "tensor w has rows of 16, expected a multiple of 32 for Q4_0",
  ],
  ["no axes", { shape: [] }, "tensor w has 0 axes, expected 1 to 4"],
  ["a tensor out of the file", { shape: [32, 4096] }, "expected it to end by"],
  ["a tensor larger than any file", { shape: [2 ** 50, 2 ** 50] }, "expected it to end by"],
  ["an offset that is not aligned", { offset: 8 }, "starts at byte 8 of the data, expected a multiple of 32"],
];

for (const [name, flaws, message] of FLAWS) {
  Deno.test(`openGguf() refuses ${name}`, () =>
    inGguf(encodeGguf(metadata, { w: sample().q4_0 }, flaws), async (path) => {
      await assertRejects(() => openGguf(path), SyntaxError, message);
    }));
}

Deno.test("openGguf() refuses tensors that overlap or occur twice, and an alignment that is none", async () => {
  const { q4_0: w, vector } = sample();
  await inGguf(encodeGguf({}, { w, vector }, { offset: 0 }), async (path) => {
    await assertRejects(
      () => openGguf(path),
      SyntaxError,
      "tensor w starts at byte 0 of the data, expected at least 20",
    );
  });
  await inGguf(encodeGguf({}, { w }, { twice: true }), async (path) => {
    await assertRejects(() => openGguf(path), SyntaxError, "found tensor w twice");
  });
  await inGguf(encodeGguf({ "general.alignment": ["u32", 0] }), async (path) => {
    await assertRejects(
      () => openGguf(path),
      SyntaxError,
      "found general.alignment 0, expected a multiple of 8",
    );
  });
});

Deno.test("openGguf() names a type that is not read, known to ggml or not", async () => {
  for (const [dtype, name] of [[10, "Q2_K"], [39, "MXFP4"], [99, "number 99"]] as const) {
    await inGguf(encodeGguf({}, { w: sample().q4_0 }, { dtype }), async (path) => {
      const message = `Cannot read ${path}: tensor w has type ${name}, expected F32, F16, Q4_0`;
      await assertRejects(() => openGguf(path), TypeError, message);
    });
  }
});

Deno.test("openGguf() allocates nothing for an array of a length that is only announced", async () => {
  const file = encodeGguf({ "a.numbers": ["u32[]", [1, 2]], "a.words": ["string[]", ["x"]] });
  const view = new DataView(file.buffer);
  const keys = ["a.numbers", "a.words"].map((key) => new TextEncoder().encode(key));
  for (const key of keys) {
    const wrong = file.slice();
    const at = [...file.keys()].find((i) => key.every((byte, j) => view.getUint8(i + j) === byte))!;
    new DataView(wrong.buffer).setBigUint64(at + key.length + 8, 1n << 50n, true);
    await inGguf(wrong, async (path) => {
      await assertRejects(() => openGguf(path), SyntaxError, "expected the header to end by byte");
    });
  }
});

Deno.test("openGguf() says which file is missing", async () => {
  await assertRejects(
    () => openGguf("none.gguf"),
    Deno.errors.NotFound,
    "none.gguf: found no such file, expected GGUF",
  );
});
