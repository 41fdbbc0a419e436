"""The files: one immutable object per stored instance, behind one small port."""
