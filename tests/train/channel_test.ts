import { assert, assertEquals } from "@std/assert";
import { RunChannel } from "../../lib/train/channel.ts";

const event = (step: number) => ({ event: { step, steps: 10, loss: step / 3 } });

Deno.test("RunChannel hands lines over in order, each once, and grows with them", () => {
  const worker = new RunChannel();
  const main = new RunChannel(worker.memory);
  const before = main.memory.byteLength;
  let to = 0;
  const got = [];
  for (let step = 0; step < 5000; step++) {
    worker.append(event(step));
    if (step % 7) continue;
    const read = main.read(to);
    got.push(...read.lines);
    to = read.to;
  }
  got.push(...main.read(to).lines);
  assertEquals(got, Array.from({ length: 5000 }, (_, step) => event(step)));
  assert(main.memory.byteLength > before);
});

Deno.test("RunChannel carries text outside ASCII", () => {
  const channel = new RunChannel();
  const line = { failure: { name: "GpuError", message: "Gerät verloren – 設備" } };
  channel.append(line);
  assertEquals(channel.read(0).lines, [line]);
});

Deno.test("RunChannel.requestStop() is seen on the other side, and end() too", () => {
  const main = new RunChannel();
  const worker = new RunChannel(main.memory);
  assert(!worker.stopRequested && !main.ended);
  main.requestStop();
  worker.end();
  assert(worker.stopRequested && main.ended);
});

Deno.test("RunChannel.sleep() returns when its time is over, and at once when the run has ended", () => {
  const channel = new RunChannel();
  const slept = (ms: number) => {
    const begin = performance.now();
    channel.sleep(ms);
    return performance.now() - begin;
  };
  assert(slept(30) >= 25);
  channel.end();
  assert(slept(60_000) < 30_000);
});
