/** Where the keyboard is when another page comes. */

/**
 * Whether a page that comes may take the focus. Pages come late; who went on meanwhile, to a filter or a menu of the
 * frame, keeps it. `before` had the focus when the page was asked for, `now` has it; `isThere` tells what was not removed.
 */
export function mayTakeFocus<T>(before: T | null, now: T | null, isThere: (one: T) => boolean, nowhere: T): boolean {
  if (now === null || now === nowhere || now === before) return true
  // What had it is gone, a menu or a palette: where the focus fell to was nobody's choice.
  return before === null || before === nowhere ? false : !isThere(before)
}
