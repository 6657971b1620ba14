"""The checks behind a verdict: was the attack strong enough, and does the model hide its gradients?"""
