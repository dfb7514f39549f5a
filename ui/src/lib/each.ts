/** Does the same with several things, so many at once; none is begun any more once `isOver` holds. */
export async function eachOf<T>(
  all: T[],
  atOnce: number,
  work: (one: T) => Promise<unknown>,
  isOver: () => boolean = () => false,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < all.length && !isOver()) {
      const one = all[next] as T
      next += 1
      await work(one)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker))
}
