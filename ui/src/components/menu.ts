/** An entry of a menu of actions. */
export interface MenuItem {
  label: string
  run: () => void
  danger?: boolean
  disabled?: boolean
  /** A line above it. */
  line?: boolean
}
