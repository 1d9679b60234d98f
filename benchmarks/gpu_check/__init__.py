"""`make gpu-check`: is the training step correct on this GPU, how fast is it, and where does the time go?"""
