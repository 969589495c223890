import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
// @deno-types="./safetensors_peer.d.ts"
import peerModule from "npm:safetensors@0.0.1";
import { type HostTensor, hostTensor } from "../../lib/core/host_tensor.ts";
import { openSafetensors, streamSafetensors, writeSafetensors } from "../../lib/io/safetensors.ts";

const { SafeTensor } = peerModule;

function sample(): Map<string, HostTensor> {
  return new Map([
    ["b.half", hostTensor([3], [1, -2.5, 65504], "f16")],
    ["z", hostTensor([2, 3], [1, 2, 3, -4, 5e-30, 6])],
    ["a", hostTensor([], [7])],
    ["brain", hostTensor([1, 2], [1.5, -3e38], "bf16")],
    ["empty", hostTensor([0, 4], [])],
    ["ids", { dtype: "u32", shape: [2], bytes: new Uint8Array(Uint32Array.of(1, 4e9).buffer) }],
    ["é", { dtype: "i32", shape: [1], bytes: new Uint8Array(Int32Array.of(-1).buffer) }],
  ]);
}

async function inFile(content: Uint8Array, test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  await Deno.writeFile(path, content);
  try {
    await test(path);
  } finally {
    await Deno.remove(path);
  }
}

/** A file with this header (text, or an object to store as JSON) and `data` zero bytes. */
function file(header: unknown, data = 0, length?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

Deno.test("openSafetensors() reads back what writeSafetensors() wrote, bit for bit", async () => {
  const path = await Deno.makeTempFile();
  await writeSafetensors(path, sample(), { format: "pt", note: "x" });
  using found = await openSafetensors(path);
  assertEquals(found.metadata, { format: "pt", note: "x" });
  assertEquals([...found.tensors.keys()].sort(), [...sample().keys()].sort());
  for (const [name, tensor] of sample()) assertEquals(await found.read(name), tensor, name);
  await Deno.remove(path);
});

Deno.test("writeSafetensors() aligns every tensor and gives the same bytes for the same tensors", async () => {
  const [first, second] = [await Deno.makeTempFile(), await Deno.makeTempFile()];
  await writeSafetensors(first, sample());
  await writeSafetensors(second, new Map([...sample()].reverse()));
  assertEquals(await Deno.readFile(first), await Deno.readFile(second));
  using found = await openSafetensors(first);
  const widths = { F32: 4, U32: 4, I32: 4, F16: 2, BF16: 2 } as Record<string, number>;
  for (const { dtype, byteOffset } of found.tensors.values()) assertEquals(byteOffset % widths[dtype], 0);
  assertEquals([...found.tensors.values()][0].byteOffset % 8, 0);
  await Promise.all([Deno.remove(first), Deno.remove(second)]);
});

Deno.test("writeSafetensors() refuses a tensor whose bytes do not fit its shape, and writes nothing", async () => {
  const folder = await Deno.makeTempDir();
  const wrong = new Map([["w", { ...hostTensor([2], [1, 2]), shape: [3] }]]);
  await assertRejects(
    () => writeSafetensors(`${folder}/x`, wrong),
    RangeError,
    "Cannot write tensor w: found 8 bytes, expected 12 for f32 [3]",
  );
  assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 0);
  await Deno.remove(folder);
});

Deno.test("streamSafetensors() writes the bytes of writeSafetensors(), one tensor made after the other", async () => {
  const folder = await Deno.makeTempDir();
  const tensors = sample();
  await writeSafetensors(`${folder}/whole`, tensors);
  const asked: string[] = [];
  let open = 0;
  await streamSafetensors(`${folder}/parts`, tensors, async (name) => {
    assertEquals(++open, 1);
    asked.push(name);
    await new Promise((resolve) => setTimeout(resolve));
    open--;
    return tensors.get(name)!;
  });
  assertEquals(asked.toSorted(), [...tensors.keys()].sort());
  assertEquals(await Deno.readFile(`${folder}/parts`), await Deno.readFile(`${folder}/whole`));
  for (const broken of [hostTensor([2], [1, 2]), undefined]) {
    const make = (name: string) => {
      if (name !== "brain") return tensors.get(name)!;
      if (broken) return broken;
      throw new TypeError("no brain");
    };
    await assertRejects(() => streamSafetensors(`${folder}/parts`, tensors, make), Error, "brain");
  }
  assertEquals(await Deno.readFile(`${folder}/parts`), await Deno.readFile(`${folder}/whole`));
  assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 2);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("writeSafetensors() files read the same through npm:safetensors", async () => {
  const path = await Deno.makeTempFile();
  // The peer fails on __metadata__, a known defect of it, so none is written here.
  await writeSafetensors(path, sample(), {});
  const peer = new SafeTensor(await Deno.readFile(path));
  assertEquals([...peer.metadata.keys()].sort(), [...sample().keys()].sort());
  for (const [name, { dtype, shape, bytes }] of sample()) {
    assertEquals(peer.metadata.get(name)!.dtype, dtype.toUpperCase(), name);
    assertEquals(peer.metadata.get(name)!.shape, shape, name);
    assertEquals(peer.getTensor(name), bytes, name);
  }
  await Deno.remove(path);
});

Deno.test("openSafetensors() allows reads at the same time", async () => {
  const path = await Deno.makeTempFile();
  await writeSafetensors(path, sample());
  using found = await openSafetensors(path);
  const names = [...sample().keys()];
  const read = await Promise.all(names.map((name) => found.read(name)));
  assertEquals(read, names.map((name) => sample().get(name)!));
  await assertRejects(() => found.read("nope"), RangeError, "Cannot read tensor nope");
  await Deno.remove(path);
});

const F = (begin: number, end: number, shape: unknown = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});
const HOSTILE: [string, Uint8Array, string][] = [
  ["an empty file", new Uint8Array(0), "found 0 bytes"],
  ["a file of 7 bytes", new Uint8Array(7), "found 7 bytes"],
  [
    "a header longer than the file",
    file("{}", 0, 1000n),
    "found a header length of 1000 bytes, expected at most 2",
  ],
  ["a header of 2^63 bytes", file("{}", 0, 2n ** 63n), "found a header length of"],
  ["a header length of 0", file(""), "does not start with {"],
  ["a header that is not JSON", file('{"a"'), "not JSON"],
  ["a header that is an array", file("[]"), "does not start with {"],
  ["a header that is not UTF-8", file("{}").fill(0xff, 9, 10), "not JSON"],
  [
    "a tensor named twice",
    file(
      '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
    ),
    "names a twice",
  ],
  [
    "a tensor named twice with an escape",
    file(
      '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061" :{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
    ),
    "names a twice",
  ],
  [
    "a field given twice",
    file('{"a":{"dtype":"F32","shape":[0],"shape":[0],"data_offsets":[0,0]}}'),
    "names shape twice",
  ],
  ["a truncated tensor", file({ a: F(0, 8) }, 7), "it may be truncated"],
  ["bytes after the last tensor", file({ a: F(0, 8) }, 9), "expected"],
  ["a range past the end", file({ a: F(0, 4), b: F(4, 400) }, 8), "it may be truncated"],
  [
    "a header that overlaps",
    file({ a: F(0, 8), b: F(4, 12) }, 12),
    "tensor b starts at byte 4 of the data, expected 8 (it overlaps",
  ],
  ["two tensors on the same bytes", file({ a: F(0, 8), b: F(0, 8) }, 8), "it overlaps"],
  ["a hole", file({ a: F(0, 4), b: F(8, 12) }, 12), "there is a hole"],
  ["a hole at the start", file({ a: F(4, 8) }, 8), "there is a hole"],
  ["NaN in a shape", file('{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,0]}}'), "not JSON"],
  ["null in a shape", file({ a: F(0, 4, [null]) }, 4), "has shape [null]"],
  ["a negative shape", file({ a: F(0, 4, [-1, -1]) }, 4), "has shape [-1,-1]"],
  ["a fractional shape", file({ a: F(0, 4, [0.5, 2]) }, 4), "has shape [0.5,2]"],
  ["a shape whose size overflows", file({ a: F(0, 4, [2 ** 52, 2 ** 52]) }, 4), "has 4 bytes, expected"],
  ["a shape of another size", file({ a: F(0, 8, [3]) }, 8), "has 8 bytes, expected 12 for F32 [3]"],
  [
    "a range that runs backwards",
    file({ a: { dtype: "F32", shape: [1], data_offsets: [4, 0] } }, 4),
    "data_offsets [4,0]",
  ],
  ["no range", file({ a: { dtype: "F32", shape: [1] } }, 4), "has data_offsets"],
  ["an unknown dtype", file({ a: { dtype: "F7", shape: [1], data_offsets: [0, 1] } }, 1), 'has dtype "F7"'],
  [
    "a dtype that is a name of Object's",
    file({ a: { dtype: "toString", shape: [1], data_offsets: [0, 1] } }, 1),
    "has dtype",
  ],
  ["an entry that is a number", file({ a: 1 }), "has entry 1"],
  ["metadata that is no text", file({ __metadata__: { a: 1 } }), "__metadata__"],
  ["a zip of PyTorch", Uint8Array.from("PK\x03\x04aaaaaaaa", (c) => c.charCodeAt(0)), "PyTorch pickle"],
  [
    "an old PyTorch pickle",
    Uint8Array.from("\x80\x02\x8a\x0al\xfc\x9cF\xf9", (c) => c.charCodeAt(0)),
    "PyTorch pickle",
  ],
  ["a GGUF file", Uint8Array.from("GGUF\x03\0\0\0\0", (c) => c.charCodeAt(0)), "found a GGUF file"],
];
for (const [what, content, says] of HOSTILE) {
  Deno.test(`openSafetensors() refuses ${what}`, () =>
    inFile(content, async (path) => {
      const error = await assertRejects(() => openSafetensors(path), SyntaxError, says);
      assertStringIncludes(error.message, path);
    }));
}

for (const length of [640, 896, 1152, 1408]) {
  Deno.test(`openSafetensors() reads a header of ${length} bytes, which begins as a pickle does`, () => {
    const header = JSON.stringify({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4] } });
    return inFile(file(header.padEnd(length), 4), async (path) => {
      using found = await openSafetensors(path);
      assertEquals([...found.tensors.keys()], ["a"]);
    });
  });
}

Deno.test("openSafetensors() refuses every truncation of a good file", async () => {
  const path = await Deno.makeTempFile();
  await writeSafetensors(path, new Map([["w", hostTensor([3], [1, 2, 3])], ["b", hostTensor([1], [1])]]));
  const whole = await Deno.readFile(path);
  for (let length = 0; length < whole.length; length++) {
    await Deno.writeFile(path, whole.subarray(0, length));
    await assertRejects(() => openSafetensors(path), SyntaxError, path);
  }
  await Deno.remove(path);
});

Deno.test("openSafetensors() never crashes on a flipped header byte: it reads or says SyntaxError", async () => {
  const path = await Deno.makeTempFile();
  await writeSafetensors(path, new Map([["w", hostTensor([3], [1, 2, 3])], ["b", hostTensor([1], [1])]]));
  const whole = await Deno.readFile(path);
  let refused = 0;
  for (let at = 0; at < whole.length - 16; at++) {
    const bad = whole.slice();
    bad[at] ^= 0x15;
    await Deno.writeFile(path, bad);
    try {
      (await openSafetensors(path)).close();
    } catch (error) {
      assert(error instanceof SyntaxError, `byte ${at}: ${error}`);
      refused++;
    }
  }
  assert(refused > 100);
  await Deno.remove(path);
});

Deno.test("openSafetensors() lists a dtype that read() cannot give, and read() names it", () =>
  inFile(file({ ids: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, 8), async (path) => {
    using found = await openSafetensors(path);
    assertEquals(found.tensors.get("ids")!.dtype, "I64");
    await assertRejects(
      () => found.read("ids"),
      TypeError,
      "found dtype I64, expected F32, F16, BF16, U32, I32",
    );
  }));

Deno.test("openSafetensors() says when there is no such file", async () => {
  await assertRejects(
    () => openSafetensors("none/x.safetensors"),
    Deno.errors.NotFound,
    "none/x.safetensors",
  );
});

Deno.test("writeSafetensors() refuses tensors stored in blocks", async () => {
  const tensor = { dtype: "q8_0", shape: [1, 32], bytes: new Uint8Array(34) } as const;
  await assertRejects(
    () => writeSafetensors("never-written.safetensors", new Map([["w", tensor]])),
    TypeError,
    "Cannot write tensor w: found q8_0, expected f32, f16, bf16, u32, i32",
  );
});
