import { assertEquals } from "@std/assert";
import { Parameters } from "../../lib/autograd/parameters.ts";
import { Rng } from "../../lib/core/rng.ts";
import { AdamW } from "../../lib/optim/adamw.ts";
import { adamw, type AdamwState, clipFactor, globalNorm } from "../../lib/reference/adamw.ts";
import { bound, EPS, expectClose } from "../helpers/close.ts";
import { testDevice } from "../helpers/device.ts";

const gpu = await testDevice();
const STEPS = 12;

for (const clip of [0, 1]) {
  Deno.test(`AdamW.update() gives the twin's parameters over ${STEPS} updates, clip ${clip}`, async () => {
    const live = gpu.liveBytes;
    {
      using parameters = new Parameters(gpu, new Map([["a", [3, 7]], ["b", [65]]]));
      using optimiser = new AdamW(parameters);
      using norms = gpu.upload(new Float32Array(STEPS), [STEPS]);
      const rng = new Rng(1, "adamw");
      const n = parameters.data.size;
      let state: AdamwState = {
        parameters: new Float64Array(n),
        m: new Float64Array(n),
        v: new Float64Array(n),
      };
      const exact: number[] = [];
      let moved = 0;
      for (let step = 1; step <= STEPS; step++) {
        for (const name of parameters.names) {
          const { sink } = parameters.get(name)!;
          gpu.write(sink!, Float32Array.from({ length: sink!.size }, () => rng.normal()));
        }
        const gradient = Float64Array.from(await gpu.read(parameters.gradient));
        // A rate that changes every update must reach every update.
        const settings = { learningRate: 1e-2 / step, weightDecay: 0.1 };
        optimiser.update({ ...settings, clip, at: step - 1 }, norms);
        exact.push(globalNorm([gradient]));
        const clipped = gradient.map((g) => g * clipFactor(exact.at(-1)!, clip));
        state = adamw(state, clipped, { ...settings, step });
        moved += settings.learningRate;
        assertEquals((await gpu.read(parameters.gradient)).every((g) => g === 0), true);
      }
      expectClose(await gpu.read(norms), exact, bound(n, exact, 2.5 * EPS), "norms");
      // An update moves a parameter by about its rate at most, each with the relative error of the kernel.
      const limit = new Float64Array(n).fill(moved * 36 * EPS);
      expectClose(await gpu.read(parameters.data), state.parameters, limit, "parameters");
      assertEquals(optimiser.step, STEPS);
    }
    assertEquals(gpu.liveBytes, live);
  });
}
