"""The Open Inference Protocol (KServe V2 REST) with its binary tensor extension, beside /predict.

One model, `stillroom`, whose versions are the roles: `/v2/models/stillroom/infer` goes the way of /predict, by user;
`/v2/models/stillroom/versions/treatment/infer` is the tester's header in another place.
"""
