/**
 * Resolves once a condition holds. For what another thread or the network brings about: it pauses between two looks,
 * because a loop without a pause takes a core from the threads it waits for.
 */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise<void>((resolve) => setTimeout(resolve, 5));
}
