import { assertRejects } from "@std/assert";
import { executeNotebook } from "../../lib/cli/notebooks.ts";
import { jupyter, makeFolder, notebookOf } from "./lab.ts";

Deno.test({
  name: "openDevice() in a notebook's first cell says what to install where there is no adapter",
  ignore: jupyter.ignore,
  async fn() {
    await using folder = await makeFolder();
    const path = `${folder.path}/a.ipynb`;
    // What a machine without a driver answers; with Vulkan turned off, this one's may fall back to OpenGL.
    const without = "navigator.gpu.requestAdapter = () => Promise.resolve(null);";
    const cell = `import { openDevice } from "@olora/kit";\nconst gpu = await openDevice();`;
    await Deno.writeTextFile(path, notebookOf([without, cell]));
    await assertRejects(
      () => executeNotebook(path, jupyter.path, `${folder.path}/share`),
      Error,
      "apt-get install -y libvulkan1 mesa-vulkan-drivers",
    );
  },
});
