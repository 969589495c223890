import { byteLength, type HostTensor } from "../core/host_tensor.ts";
import { writeFileAtomic } from "./atomic.ts";
import { openNamed, readAt } from "./read_at.ts";
import { headerLength, layOutSafetensors, parseHeader, readableDType } from "./safetensors_format.ts";
import type { SafetensorsHeader } from "./safetensors_format.ts";

/** An open safetensors file: its header is read and checked, tensors are read one by one when asked for. */
export interface SafetensorsFile extends SafetensorsHeader, Disposable {
  /** The file. */
  readonly path: string;
  /**
   * Reads one tensor and nothing else.
   *
   * @throws {RangeError} If the file has no such tensor.
   * @throws {TypeError} If its element type is none of f32, f16, bf16, u32, i32.
   */
  read(name: string): Promise<HostTensor>;
  /** Closes the file; also what `using` calls. */
  close(): void;
}

/**
 * Opens and checks the safetensors file at `path`.
 *
 * Source: the safetensors format, https://github.com/huggingface/safetensors (own reader: single tensors from
 * files larger than memory, and every rule of the format checked).
 *
 * @throws {SyntaxError} If the file is not a well-formed safetensors file; the message says what is wrong.
 * @throws {Deno.errors.NotFound} If there is no such file.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openNamed(path, "safetensors");
  try {
    const { size } = await file.stat();
    const length = headerLength(readAt(file, 0, Math.min(8, size), path), size, path);
    const { metadata, tensors } = parseHeader(readAt(file, 8, length, path), size, path);
    let open = true;
    const close = () => {
      if (open) file.close();
      open = false;
    };
    return {
      path,
      metadata,
      tensors,
      // deno-lint-ignore require-await -- async so that every failure is a rejection
      async read(name) {
        const info = tensors.get(name);
        if (!info) throw new RangeError(`Cannot read tensor ${name}: ${path} has no tensor of that name`);
        const dtype = readableDType(info.dtype, name, path);
        return { dtype, shape: info.shape, bytes: readAt(file, info.byteOffset, info.byteLength, path) };
      },
      close,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * Writes `tensors` as a safetensors file, whole or not at all; the same tensors give the same bytes.
 *
 * @param path Where the file ends up.
 * @param tensors The tensors by name.
 * @param metadata Free text to store; PyTorch's loaders want `{ format: "pt" }`, the default.
 * @throws {RangeError} If a tensor's bytes do not fit its shape.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): Promise<void> {
  for (const [name, tensor] of tensors) checkBytes(name, tensor);
  await streamSafetensors(path, tensors, (name) => tensors.get(name)!, metadata);
}

/**
 * Writes a safetensors file of tensors that are made one after the other, so that no more than one is held.
 *
 * @param infos Type and shape of each tensor, by name.
 * @param make Makes the tensor of that name; called once for each, in the order of the file.
 * @throws As `writeSafetensors`, and what `make` throws; nothing is written then.
 */
export async function streamSafetensors(
  path: string,
  infos: ReadonlyMap<string, Pick<HostTensor, "dtype" | "shape">>,
  make: (name: string) => HostTensor | Promise<HostTensor>,
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): Promise<void> {
  const { head, names } = layOutSafetensors(infos, metadata);
  async function* pieces() {
    yield head;
    for (const name of names) {
      const { bytes } = await make(name);
      checkBytes(name, { ...infos.get(name)!, bytes });
      yield bytes;
    }
  }
  await writeFileAtomic(path, pieces());
}

function checkBytes(name: string, { dtype, shape, bytes }: HostTensor): void {
  const expected = byteLength(shape, dtype);
  if (bytes.byteLength === expected) return;
  throw new RangeError(
    `Cannot write tensor ${name}: found ${bytes.byteLength} bytes, expected ${expected} for ${dtype} [${
      shape.join(", ")
    }]`,
  );
}
