/* Not needed here: siglongjmp restores the mask before it jumps. */
