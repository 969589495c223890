const candidates = [
  decodeURIComponent(new URL("../../.venv/bin/python3", import.meta.url).pathname),
  "python3",
];

function hasPeft(python: string): boolean {
  try {
    const args = ["-c", "import peft"];
    return new Deno.Command(python, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/**
 * A Python that has PEFT. PyTorch is too large to install for a test run, so where there is none, continuous
 * integration included, these tests are reported as ignored, one line says so, and the files that PEFT wrote
 * (tests/parity/fixtures/peft_adapters) stand in for it.
 */
export function peftPython(): { path: string; ignore: boolean } {
  const path = candidates.find(hasPeft);
  if (path === undefined) {
    console.error(`left out: the tests that need PEFT: none of ${candidates.join(", ")} has it`);
  }
  return { path: path ?? "", ignore: path === undefined };
}
