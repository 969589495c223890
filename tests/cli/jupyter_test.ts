import { assertEquals, assertThrows } from "@std/assert";
import { dataFolder, installKernel, kernelSpec } from "../../lib/cli/jupyter.ts";

const env = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("dataFolder() is where Jupyter looks for what a user installs", () => {
  assertEquals(dataFolder("linux", env({ HOME: "/home/a" })), "/home/a/.local/share/jupyter");
  assertEquals(dataFolder("linux", env({ HOME: "/home/a", XDG_DATA_HOME: "/x" })), "/x/jupyter");
  assertEquals(
    dataFolder("darwin", env({ HOME: "/Users/a", XDG_DATA_HOME: "/x" })),
    "/Users/a/Library/Jupyter",
  );
  assertEquals(dataFolder("windows", env({ APPDATA: "C:/a" })), "C:/a/jupyter");
  for (const os of ["linux", "darwin", "windows"]) {
    assertEquals(dataFolder(os, env({ JUPYTER_DATA_DIR: "/j", HOME: "/home/a" })), "/j");
  }
});

Deno.test("dataFolder() says which variables it wanted", () => {
  assertThrows(() => dataFolder("linux", env({})), RangeError, "HOME and JUPYTER_DATA_DIR are not set");
});

Deno.test("installKernel() writes a kernelspec that starts this Deno and stops a cell by a message", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = await installKernel(folder);
    assertEquals(path, `${folder}/kernels/deno/kernel.json`);
    const spec = JSON.parse(await Deno.readTextFile(path));
    assertEquals(spec, kernelSpec(Deno.execPath()));
    assertEquals(spec.argv, [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"]);
    assertEquals(spec.interrupt_mode, "message");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
