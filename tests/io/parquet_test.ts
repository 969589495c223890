import { assertEquals, assertRejects } from "@std/assert";
import { parquetWriteBuffer } from "npm:hyparquet-writer@0.17.0";
import { readParquet } from "../../lib/io/parquet.ts";

async function inFile(bytes: Uint8Array, body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    await Deno.writeFile(path, bytes);
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}

const columns = [
  { name: "question", data: ["Is it?", "Naïve?"], type: "STRING" as const },
  { name: "label", data: [1n, 2n ** 60n], type: "INT64" as const },
  { name: "answer", data: [true, false], type: "BOOLEAN" as const },
  { name: "choices", data: [{ text: ["a", "b"], n: 1 }, { text: ["c"], n: 2 }], type: "JSON" as const },
];

for (const codec of ["UNCOMPRESSED", "SNAPPY"] as const) {
  Deno.test(`readParquet() reads texts, numbers, truth values and lists, ${codec.toLowerCase()}`, async () => {
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData: columns, codec }));
    await inFile(bytes, async (path) => {
      assertEquals(await readParquet(path), [
        { question: "Is it?", label: 1, answer: true, choices: { text: ["a", "b"], n: 1 } },
        { question: "Naïve?", label: 2n ** 60n, answer: false, choices: { text: ["c"], n: 2 } },
      ]);
    });
  });
}

Deno.test("readParquet() refuses what is no parquet file, or only a part of one", async () => {
  const whole = new Uint8Array(parquetWriteBuffer({ columnData: columns }));
  const wrong = [
    new TextEncoder().encode("PAR1 but not really"),
    new Uint8Array(0),
    whole.slice(0, whole.length - 9),
  ];
  for (const bytes of wrong) {
    await inFile(bytes, async (path) => {
      await assertRejects(
        () => readParquet(path),
        SyntaxError,
        `Cannot read ${path}: expected a parquet file (`,
      );
    });
  }
  await assertRejects(() => readParquet("missing.parquet"), Deno.errors.NotFound, "missing.parquet");
});
