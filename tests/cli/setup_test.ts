import { assertEquals, assertMatch } from "@std/assert";
import { remedy, type System } from "../../lib/cli/setup.ts";

const debian: System = { os: "linux", osRelease: 'NAME="Debian"\nID=debian\n', isRoot: true };

Deno.test("remedy() installs the loader and Mesa's drivers on Debian and Ubuntu as root", () => {
  const packages = { install: ["libvulkan1", "mesa-vulkan-drivers"] };
  assertEquals(remedy(debian), packages);
  assertEquals(remedy({ ...debian, osRelease: "ID=ubuntu\nID_LIKE=debian\n" }), packages);
  assertEquals(remedy({ ...debian, osRelease: 'ID=linuxmint\nID_LIKE="ubuntu debian"\n' }), packages);
});

Deno.test("remedy() gives the one line to run where it may not install", () => {
  assertEquals(remedy({ ...debian, isRoot: false }), {
    advice: "run: sudo apt-get update && sudo apt-get install -y libvulkan1 mesa-vulkan-drivers",
  });
});

Deno.test("remedy() installs nothing on other systems", () => {
  for (
    const [system, says] of [
      [{ os: "darwin", osRelease: "", isRoot: true }, /macOS.*nothing needs installing/],
      [{ os: "windows", osRelease: "", isRoot: true }, /Windows.*nothing needs installing/],
      [{ os: "linux", osRelease: "ID=fedora\nNAME=not-debian\n", isRoot: true }, /Vulkan loader/],
      [{ os: "linux", osRelease: "", isRoot: true }, /Vulkan loader/],
    ] as [System, RegExp][]
  ) {
    const cure = remedy(system);
    assertMatch("advice" in cure ? cure.advice : "", says);
  }
});
