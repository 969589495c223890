import type { AdapterConfig } from "../adapters/adapter.ts";
import type { AttachOptions } from "../adapters/attach.ts";
import { selectTargets } from "../adapters/targets.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../core/host_tensor.ts";
import { readJson, readTextIfAny } from "../io/json_file.ts";
import { openSafetensors, writeSafetensors } from "../io/safetensors.ts";
import { syncFolder, writeFileAtomic } from "../io/atomic.ts";
import { moduleRank, type PeftFactors } from "../io/peft_format.ts";
import type { Model } from "../nn/model.ts";
import type { Trainer } from "./train.ts";

/** Where a training stands, beside its numbers. */
export interface CheckpointState {
  /** What determines the run. */
  readonly identity: string;
  /** Updates done. */
  readonly step: number;
  /** Updates that were done when the optimiser last began anew. Default 0. */
  readonly restartedAt?: number;
  /** Tokens predicted so far. */
  readonly tokens: number;
  /** Batches drawn so far. */
  readonly position: number;
  /** Kernel variant by family. */
  readonly variants: readonly (readonly [string, string])[];
  /** How the adapter was made: what its start found in the data, layers and their ranks, included. */
  readonly adapter: AdapterConfig;
}

/**
 * Writes what `restoreCheckpoint` needs to go on bit for bit: parameters, both moments, starting factors, what the method keeps beside them, step, place
 * in the data, and the kernel variants in use. Random numbers are functions of seed and step.
 *
 * The folder is written aside and renamed, so there is always one whole checkpoint: `folder`, or `folder.old` while
 * the two change places, which is not touched until `folder` is there again.
 *
 * @param identity What determines the run; a checkpoint of another run is refused.
 */
export async function saveCheckpoint(folder: string, trainer: Trainer, identity: string): Promise<void> {
  const { gpu } = trainer.adapter.model;
  const aside = `${folder}.new`;
  await Deno.remove(aside, { recursive: true }).catch(ignoreMissing);
  await Deno.mkdir(aside, { recursive: true });
  const tensors = new Map<string, HostTensor>();
  for (const [name, tensor] of numbersOf(trainer)) {
    tensors.set(name, hostTensor(tensor.shape, await gpu.read(tensor)));
  }
  await writeSafetensors(`${aside}/numbers.safetensors`, tensors);
  const state: CheckpointState = {
    identity,
    step: trainer.step,
    restartedAt: trainer.optimizer.restartedAt,
    tokens: trainer.tokens,
    position: trainer.position,
    variants: [...gpu.variants],
    adapter: trainer.adapter.config,
  };
  await writeFileAtomic(`${aside}/state.json`, JSON.stringify(state, null, 2) + "\n");
  if (await readTextIfAny(`${folder}/state.json`) !== undefined) {
    await Deno.remove(`${folder}.old`, { recursive: true }).catch(ignoreMissing);
    await Deno.rename(folder, `${folder}.old`);
  }
  await Deno.rename(aside, folder);
  await syncFolder(`${folder}/..`);
  await Deno.remove(`${folder}.old`, { recursive: true }).catch(ignoreMissing);
}

/** Removes the checkpoint at `folder`, the older one too that a save which was cut off may have left. */
export async function removeCheckpoint(folder: string): Promise<void> {
  for (const place of [`${folder}.old`, folder, `${folder}.new`]) {
    await Deno.remove(place, { recursive: true }).catch(ignoreMissing);
  }
}

/** What a stored checkpoint says of its place, or undefined where there is none. */
export async function readCheckpoint(
  folder: string,
): Promise<(CheckpointState & { folder: string }) | undefined> {
  for (const place of [folder, `${folder}.old`]) {
    if (await readTextIfAny(`${place}/state.json`) === undefined) continue;
    const state = await readJson(`${place}/state.json`) as unknown as CheckpointState;
    return { ...state, folder: place };
  }
}

/**
 * Puts `trainer` where the checkpoint was taken. Its batches must be those from the checkpoint's `position` on.
 *
 * @throws {RangeError} If the checkpoint is of another run.
 */
export async function restoreCheckpoint(
  stored: NonNullable<Awaited<ReturnType<typeof readCheckpoint>>>,
  trainer: Trainer,
  identity: string,
): Promise<void> {
  checkIdentity(stored, identity);
  const { gpu } = trainer.adapter.model;
  using file = await openSafetensors(`${stored.folder}/numbers.safetensors`);
  for (const [name, tensor] of numbersOf(trainer)) {
    gpu.write(tensor, toFloat32(await file.read(name)));
  }
  trainer.optimizer.step = stored.step;
  trainer.optimizer.restartedAt = stored.restartedAt ?? 0;
  trainer.tokens = stored.tokens;
  trainer.position = stored.position;
}

/**
 * What `attach` needs to make room for the adapter of a checkpoint whose start looked at data: its layers and ranks, and
 * starting factors, zero where the checkpoint has no use for them. Nothing is computed again.
 *
 * @throws {RangeError} If the checkpoint is of another run.
 */
export async function storedStart(
  stored: NonNullable<Awaited<ReturnType<typeof readCheckpoint>>>,
  identity: string,
  model: Model,
): Promise<AttachOptions> {
  checkIdentity(stored, identity);
  const { targets, rank, rankPattern = {}, alphaPattern = {} } = stored.adapter;
  using file = await openSafetensors(`${stored.folder}/numbers.safetensors`);
  const init = new Map<string, PeftFactors>();
  for (const { module, out, in: width } of selectTargets(model.config, targets)) {
    const r = moduleRank({ rank, rankPattern }, module);
    const read = async (name: string, shape: [number, number]) =>
      file.tensors.has(name)
        ? await file.read(name)
        : hostTensor(shape, new Float32Array(shape[0] * shape[1]));
    init.set(module, {
      a: await read(`${module}.a0`, [r, width]),
      b: await read(`${module}.b0`, [out, r]),
    });
  }
  return { targets, rankPattern, alphaPattern, init };
}

function checkIdentity({ identity, folder }: { identity: string; folder: string }, expected: string): void {
  if (identity === expected) return;
  throw new RangeError(
    `Cannot resume from ${folder}: it belongs to a run with ${difference(identity, expected)}`,
  );
}

function numbersOf({ adapter, optimizer }: Trainer) {
  const numbers = new Map([
    ["parameters", adapter.parameters.data],
    ["m", optimizer.m],
    ["v", optimizer.v],
  ]);
  for (const [module, { start }] of adapter.branches) {
    if (!start) continue;
    numbers.set(`${module}.a0`, start.a);
    numbers.set(`${module}.b0`, start.b);
  }
  for (const [name, tensor] of adapter.course?.state ?? []) numbers.set(name, tensor);
  return numbers;
}

/** The first setting in which two identities differ. */
function difference(found: string, expected: string): string {
  try {
    const [a, b] = [JSON.parse(found), JSON.parse(expected)] as Record<string, unknown>[];
    const name = Object.keys({ ...a, ...b }).find((name) =>
      JSON.stringify(a[name]) !== JSON.stringify(b[name])
    )!;
    return `${name} ${JSON.stringify(a[name])}, expected ${JSON.stringify(b[name])}`;
  } catch {
    return `identity ${found}, expected ${expected}`;
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
