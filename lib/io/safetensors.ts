import type { HostTensor } from "../core/host_tensor.ts";
import { writeFileAtomic } from "./atomic.ts";
import { openNamed, readAt } from "./read_at.ts";
import { encodeSafetensors, headerLength, parseHeader, readableDType } from "./safetensors_format.ts";
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
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}
