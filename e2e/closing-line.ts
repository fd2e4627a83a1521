// Prints one plain line at the very end, so that whoever reads only the end of
// a long log knows how it went.
import type { FullResult, Reporter, TestCase } from '@playwright/test/reporter'

export default class ClosingLine implements Reporter {
  private readonly outcomes = new Map<string, string>()

  onTestEnd(test: TestCase): void {
    this.outcomes.set(test.id, test.outcome())
  }

  onExit(): Promise<void> {
    const count = (...wanted: string[]) => [...this.outcomes.values()].filter((outcome) => wanted.includes(outcome)).length
    console.log(`${count('expected', 'flaky')} passed, ${count('unexpected')} failed, ${count('skipped')} skipped`)
    return Promise.resolve()
  }

  onEnd(_result: FullResult): void {}

  printsToStdio(): boolean {
    return false
  }
}
