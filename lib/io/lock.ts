/**
 * Does `work` while this process alone, of those that ask, holds the lock file at `path`, whose folder must be there.
 *
 * @param onWait Called if another process holds it, before it is waited for.
 */
export async function withLock<Result>(
  path: string,
  work: () => Promise<Result>,
  onWait: () => void,
): Promise<Result> {
  using lock = await Deno.open(path, { write: true, create: true });
  if (!await lock.tryLock(true)) {
    onWait();
    await lock.lock(true);
  }
  return await work();
}
