"""Dead letters for an operator: every letter of a queue seen once, read, chosen, shown, summed up, put back.

scan  →  letter  →  letter_filter  →  letter_summary, shown_letter, letter_capture: `routing-sync dead-letters`
                                   →  redrive: `routing-sync redrive`
"""
