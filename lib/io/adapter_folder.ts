import { syncFolder } from "./atomic.ts";

/** What says that a folder holds an adapter, PEFT's form and the kit's own; each is read first and written last. */
const CONFIGS = ["adapter_config.json", "kit_adapter.json"] as const;

/** What lies beside it: tensors, and where an adapter in PEFT's form starts away from zero, a folder with A₀ and B₀. */
const START = "start";
const BESIDE = [
  ...[`${START}/adapter_config.json`, `${START}/adapter_model.safetensors`],
  ...["adapter_model.safetensors", "kit_adapter.safetensors"],
];

/**
 * Requires that `folder` does not hold an adapter in PEFT's form and one in the kit's own: which is meant, nobody can say.
 *
 * @throws {RangeError} If it holds both.
 */
export async function requireOneForm(folder: string): Promise<void> {
  const found = await Promise.all(CONFIGS.map((name) => exists(`${folder}/${name}`)));
  if (!found.every(Boolean)) return;
  throw new RangeError(
    `Cannot use ${folder}: found ${
      CONFIGS.join(" and ")
    }, expected one of them, as each is an adapter of its own`,
  );
}

/**
 * Puts an adapter into `folder` in place of what is there of another, in whichever form. All of it is written aside first;
 * what is there is then taken away, its configuration first, and the new one's is put there last: stopped at any moment, the
 * folder holds the old adapter, the new one or none, and never parts of both.
 *
 * @param write Writes the adapter's files into the folder that it is given.
 * @throws What `write` throws; `folder` is then as it was.
 */
export async function replaceAdapter(
  folder: string,
  write: (aside: string) => Promise<void>,
): Promise<void> {
  const aside = `${folder}/.adapter.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    await write(aside);
    await removeAdapter(folder);
    if (await exists(`${aside}/${START}`)) await Deno.mkdir(`${folder}/${START}`, { recursive: true });
    for (const names of [BESIDE, CONFIGS]) {
      for (const name of names) {
        if (await exists(`${aside}/${name}`)) await Deno.rename(`${aside}/${name}`, `${folder}/${name}`);
      }
      await syncFolder(folder);
    }
  } finally {
    await Deno.remove(aside, { recursive: true }).catch(() => {});
  }
}

/** Takes what there is of an adapter out of `folder`, its configuration first. */
export async function removeAdapter(folder: string): Promise<void> {
  for (const names of [CONFIGS, BESIDE]) {
    for (const name of names) {
      await Deno.remove(`${folder}/${name}`).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
    await syncFolder(folder);
  }
  // Where something else lies in it, it stays.
  await Deno.remove(`${folder}/${START}`).catch(() => {});
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
