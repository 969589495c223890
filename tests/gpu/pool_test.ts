import { assertEquals, assertLessOrEqual } from "@std/assert";
import { BufferPool, sizeClass } from "../../lib/gpu/pool.ts";

interface FakeBuffer {
  bytes: number;
  destroyed: boolean;
}

function fakePool(): { pool: BufferPool; made: FakeBuffer[] } {
  const made: FakeBuffer[] = [];
  const pool = new BufferPool((bytes) => {
    const buffer = { bytes, destroyed: false, destroy: () => void (buffer.destroyed = true) };
    made.push(buffer);
    return buffer as unknown as GPUBuffer;
  });
  return { pool, made };
}

Deno.test("sizeClass() rounds up to multiples of 256 bytes by at most an eighth of the octave", () => {
  assertEquals([0, 1, 256, 257, 2048, 2049, 4096, 4097].map(sizeClass), [
    256,
    256,
    256,
    512,
    2048,
    2304,
    4096,
    4608,
  ]);
  for (let bytes = 1; bytes < 2 ** 31; bytes = Math.ceil(bytes * 1.37)) {
    const rounded = sizeClass(bytes);
    assertEquals(rounded % 256, 0);
    assertLessOrEqual(bytes, rounded);
    assertLessOrEqual(rounded, Math.max(bytes * 1.125, bytes + 256));
    assertEquals(sizeClass(rounded), rounded);
  }
});

Deno.test("BufferPool lends the oldest free buffer, and counts live, held and peak bytes", () => {
  const { pool, made } = fakePool();
  const [a, b] = [pool.take(1000), pool.take(900)];
  assertEquals([pool.liveBytes, pool.heldBytes, pool.peakBytes], [2048, 2048, 2048]);
  pool.give(a);
  pool.give(b);
  assertEquals([pool.liveBytes, pool.heldBytes, pool.peakBytes], [0, 2048, 2048]);
  assertEquals(pool.take(1024).id, a.id);
  assertEquals(pool.take(1024).id, b.id);
  assertEquals(pool.take(1024).id === a.id, false);
  assertEquals(made.length, 3);
  pool.give(a);
  pool.resetPeak();
  assertEquals(pool.peakBytes, 2048);
});

Deno.test("BufferPool.trim() destroys what is free and nothing that is lent", () => {
  const { pool, made } = fakePool();
  const a = pool.take(300);
  pool.give(pool.take(300));
  pool.trim();
  assertEquals(made.map(({ destroyed }) => destroyed), [false, true]);
  assertEquals(pool.heldBytes, a.bytes);
  assertEquals(pool.take(300).id, 2);
});
