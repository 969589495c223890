/** SmolLM2-135M-Instruct in Q4_1, which is not part of this repository. */
const url = new URL("../../out/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", import.meta.url);

/** Where `tests/parity/make/smollm2_model.py` says to put it, and whether its tests are to be ignored, never under CI=true. */
export async function smollm2(): Promise<{ path: string; ignore: boolean }> {
  const ignore = Deno.env.get("CI") !== "true" && !await Deno.stat(url).then(() => true, () => false);
  if (ignore) {
    console.error(
      "left out: tests of SmolLM2-135M: no out/smollm2 (see tests/parity/make/smollm2_model.py)",
    );
  }
  return { path: decodeURIComponent(url.pathname), ignore };
}
